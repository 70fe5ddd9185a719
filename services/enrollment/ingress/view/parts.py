"""Wires the view: which topics keep it, and what forgets steps that nobody will ask for."""

from datetime import timedelta
from pathlib import Path
from typing import Final

from services.enrollment.ingress.settings import IngressSettings
from services.enrollment.ingress.view import store
from services.enrollment.ingress.view.handlers import REACTIONS
from services.enrollment.ingress.view.model import State
from shared.choreography import TOPIC_OF, TOPICS, VIEWED, Topic
from shared.events import (
    EnrollmentCancellationRequested,
    EnrollmentCancelled,
    EnrollmentConfirmed,
    EnrollmentRejected,
    EnrollmentRequested,
)
from shared.looks import Look
from shared.metric_table import SAGAS_COMPENSATING, SAGAS_COMPENSATING_OLDEST
from shared.parts import Parts, Resources, Tick, Timer

NAME: Final = "ingress"
PRUNING_SECONDS: Final = 10.0
COMPENSATING_LOOK_SECONDS: Final = 2.0
PRUNED_AT_ONCE: Final = 1000  # a batch that wants one of them waits for all
PIECES_MAX: Final = 10

# Whoever asks waits for these; a step may come with the next of them.
AWAITED: Final = frozenset(
    {
        EnrollmentRequested,
        EnrollmentCancellationRequested,
        EnrollmentConfirmed,
        EnrollmentRejected,
        EnrollmentCancelled,
    }
)


def view_parts(settings: IngressSettings) -> Parts[State]:
    """Name what makes the process keep a view; each event is heard once, so it needs no inbox."""
    return Parts(
        name=NAME,
        topics=view_topics(),
        versions=Path(__file__).parent / "migrations",
        reactions=REACTIONS,
        load=store.load,
        save=store.save,
        patient=frozenset(VIEWED) - AWAITED,
        uses_inbox=lambda _topic: False,
        parks_unreadable=False,
        is_traced=False,
        timers=(Timer("prune-steps", PRUNING_SECONDS, pruning(settings.saga_steps_days)),),
        looks=(
            Look(
                "compensating",
                COMPENSATING_LOOK_SECONDS,
                (SAGAS_COMPENSATING, SAGAS_COMPENSATING_OLDEST),
                store.compensating_ages,
            ),
        ),
    )


def view_topics() -> tuple[Topic, ...]:
    """Name the topics that the view is kept from."""
    read = {TOPIC_OF[event] for event in VIEWED}
    return tuple(topic for topic in TOPICS if topic in read)


def pruning(days: int) -> Tick:
    """Forget the steps of what was settled so long ago, some at a time and the rest later."""

    async def tick(resources: Resources) -> None:
        before = resources.clock() - timedelta(days=days)
        for _ in range(PIECES_MAX):
            async with resources.database.transaction() as transaction:
                pruned = await store.prune(transaction, before, PRUNED_AT_ONCE)
            if pruned < PRUNED_AT_ONCE:
                return

    return tick
