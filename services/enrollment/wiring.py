"""Wires the enrollment service: the only place where its parts meet."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from services.enrollment import store
from services.enrollment.handlers import REACTIONS, on_deadlines_passed
from services.enrollment.model import State
from services.enrollment.settings import EnrollmentSettings
from shared import outbox
from shared.choreography import REQUESTS, Service
from shared.process import Parts, Process, Resources, Tick, Timer

OVERDUE_MAX: Final = 500
INTAKE_SECONDS: Final = 0.1
HOUR_SECONDS: Final = 3600.0
REOPEN_SHARE: Final = 0.75  # to stop and start reading costs a little each time
TOO_MANY_PENDING: Final = "too many pending"


def parts(settings: EnrollmentSettings) -> Parts[State]:
    """Name what makes this service itself."""
    intake = _intake(settings)
    return Parts(
        service=Service.ENROLLMENT,
        versions=Path(__file__).parent / "migrations",
        reactions=REACTIONS,
        load=partial(store.load, policy=settings.policy),
        save=store.save,
        timers=(
            Timer("deadlines", settings.deadline_check_seconds, _deadlines(settings)),
            Timer("intake", INTAKE_SECONDS, intake),
            Timer("early-cancels", HOUR_SECONDS, _forget_early_cancels(settings)),
        ),
        after_batch=_only_while_closed(intake),
    )


def build(settings: EnrollmentSettings) -> Process[State]:
    """Build the process; nothing connects before it runs."""
    return Process(parts(settings), settings)


def _deadlines(settings: EnrollmentSettings) -> Tick:
    """Reject what is overdue, from the database: so a deadline survives any restart."""

    async def tick(resources: Resources) -> None:
        now = resources.clock()
        async with resources.database.transaction() as transaction:
            state = await store.load_overdue(transaction, now, OVERDUE_MAX, settings.policy)
            emitted = on_deadlines_passed(state, now)
            await store.save(transaction, state)
            await outbox.append(transaction, emitted, now, resources.new_event_id)
        if emitted:
            resources.relay.wake()

    return tick


def _intake(settings: EnrollmentSettings) -> Tick:
    """Leave requests in their topic while too many are pending: there it costs no deadline."""

    async def tick(resources: Resources) -> None:
        async with resources.database.transaction() as transaction:
            pending = await store.count_pending(transaction, settings.pending_max + 1)
        if pending > settings.pending_max:
            resources.gates.close(TOO_MANY_PENDING, [REQUESTS.name])
        elif pending <= settings.pending_max * REOPEN_SHARE:
            resources.gates.open(TOO_MANY_PENDING)

    return tick


def _only_while_closed(intake: Tick) -> Tick:
    """Look after each batch too, so that requests come in as outcomes go out.

    Otherwise they come in waves that leave the other services idle in turn.
    """

    async def tick(resources: Resources) -> None:
        if resources.gates.is_closed_for(TOO_MANY_PENDING):
            await intake(resources)

    return tick


def _forget_early_cancels(settings: EnrollmentSettings) -> Tick:
    """Forget cancels whose request never came."""

    async def tick(resources: Resources) -> None:
        before = resources.clock() - timedelta(days=settings.early_cancel_days)
        async with resources.database.transaction() as transaction:
            await store.forget_early_cancels(transaction, before)

    return tick
