"""Wires the enrollment service: the only place where its parts meet."""

from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from services.enrollment import store
from services.enrollment.handlers import REACTIONS, reject_overdue
from services.enrollment.model import DeadlinePolicy, State
from services.enrollment.settings import EnrollmentSettings
from shared.choreography import REQUESTS, Service, patient_events, subscriptions
from shared.database import Transaction
from shared.gates import Gates
from shared.identifiers import NewEventId
from shared.looks import Look
from shared.metric_table import (
    ENROLLMENTS_PENDING,
    ENROLLMENTS_PENDING_LONG,
    ENROLLMENTS_PENDING_OLDEST,
)
from shared.parts import Parts, Resources, Tick, Timer
from shared.process import Process
from shared.step_spans import tell_of_step
from shared.tracing import now_ns
from shared.unit import PostgresUnit

INTAKE_SECONDS: Final = 0.1
PENDING_LOOK_SECONDS: Final = 5.0
HOUR_SECONDS: Final = 3600.0
REOPEN_SHARE: Final = 0.75  # to stop and start reading costs a little each time
TOO_MANY_PENDING: Final = "too many pending"


def parts(settings: EnrollmentSettings) -> Parts[State]:
    """Name what makes this service itself."""
    intake = _intake(settings)
    return Parts(
        name=Service.ENROLLMENT,
        topics=subscriptions(Service.ENROLLMENT),
        patient=patient_events(Service.ENROLLMENT),
        versions=Path(__file__).parent / "migrations",
        reactions=REACTIONS,
        load=partial(store.load, policy=settings.policy),
        save=store.save,
        timers=(
            Timer("deadlines", settings.deadline_check_seconds, _deadlines(settings)),
            Timer("intake", INTAKE_SECONDS, intake),
            Timer("early-cancels", HOUR_SECONDS, _forget_early_cancels(settings)),
        ),
        looks=(
            Look(
                "pending",
                PENDING_LOOK_SECONDS,
                (ENROLLMENTS_PENDING, ENROLLMENTS_PENDING_LONG, ENROLLMENTS_PENDING_OLDEST),
                store.pending_ages,
            ),
        ),
        after_batch=_only_while_closed(intake),
    )


def build(settings: EnrollmentSettings) -> Process[State]:
    """Build the process; nothing connects before it runs."""
    return Process(parts(settings), settings)


class DeadlineUnit(PostgresUnit[State]):
    """The OverdueUnit of the handlers, inside a transaction that the caller commits."""

    def __init__(
        self, transaction: Transaction, policy: DeadlinePolicy, new_event_id: NewEventId
    ) -> None:
        super().__init__(transaction, partial(store.load, policy=policy), store.save, new_event_id)
        self._policy = policy

    async def load_overdue(self, now: datetime, limit: int) -> State:
        """Lock pending enrollments whose deadline has passed, but for those at work elsewhere."""
        return await store.load_overdue(self.transaction, now, limit, self._policy)


def _deadlines(settings: EnrollmentSettings) -> Tick:
    """Reject what is overdue."""

    async def tick(resources: Resources) -> None:
        began_ns = now_ns()
        async with resources.database.transaction() as transaction:
            unit = DeadlineUnit(transaction, settings.policy, resources.new_event_id)
            emitted = await reject_overdue(unit, resources.clock())
        if emitted:
            resources.relay.wake()
            resources.instruments.count_emitted(emitted)
            tell_of_step(resources.tracing, "deadline passed", emitted, began_ns)

    return tick


def _intake(settings: EnrollmentSettings) -> Tick:
    """Leave requests in their topic while too many are pending: there it costs no deadline."""

    async def tick(resources: Resources) -> None:
        async with resources.database.transaction() as transaction:
            pending = await store.count_pending(transaction, settings.pending_max + 1)
        move_gate(resources.gates, pending, settings.pending_max)

    return tick


def move_gate(gates: Gates, pending: int, pending_max: int) -> None:
    """Close the requests' topic, or open it again well below the bound."""
    if pending > pending_max:
        gates.close(TOO_MANY_PENDING, [REQUESTS.name])
    elif pending <= pending_max * REOPEN_SHARE:
        gates.open(TOO_MANY_PENDING)


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
