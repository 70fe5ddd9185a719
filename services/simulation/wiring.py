"""What makes each simulated service that service: its own reactions, on the simulated store."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, assert_never

import asyncpg

from services.capacity.handlers import REACTIONS as CAPACITY_REACTIONS
from services.enrollment.handlers import REACTIONS as ENROLLMENT_REACTIONS
from services.enrollment.model import DeadlinePolicy
from services.simulation.database import IndexOf
from services.simulation.plan import Setting
from services.simulation.stores import capacity, enrollment, student
from services.simulation.transaction import MemoryTransaction
from services.student.handlers import REACTIONS as STUDENT_REACTIONS
from shared.choreography import Service
from shared.events import Event
from shared.identifiers import EnrollmentId
from shared.message import Emitted
from shared.reaction import Context, Reactions

DEADLINE_SECONDS_MAX: Final = 30.0

ROWS: Final = ("enrollments", "claims", "reservations")

Refused = AbstractSet[EnrollmentId]
Poisoned = set[tuple[str, EnrollmentId]]  # types of events, and enrollments


class PoisonError(Exception):
    """What a poisoned decision raises."""


@dataclass(frozen=True, slots=True)
class SimulatedParts:
    """As Parts of shared.process, with the stores of the simulated database."""

    service: Service
    reactions: Reactions[Any]
    load: Callable[..., Any]
    save: Callable[..., Any]


INDEXES: Final[Mapping[Service, Mapping[str, IndexOf]]] = {
    Service.ENROLLMENT: {enrollment.TABLE: enrollment.index},
    Service.STUDENT: {"claim": student.index},
    Service.CAPACITY: {},
}


def policy_of(setting: Setting) -> DeadlinePolicy:
    """Give the deadlines of a history."""
    return DeadlinePolicy(setting.deadline_seconds, DEADLINE_SECONDS_MAX)


def parts_of(
    service: Service,
    setting: Setting,
    poisoned: Poisoned,
    refused: Refused = frozenset(),
) -> SimulatedParts:
    """Give a service's parts.

    A decision in `poisoned` raises before it has changed anything. Of an enrollment in `refused`
    the database takes no row.
    """
    match service:
        case Service.ENROLLMENT:
            reactions: Reactions[Any] = ENROLLMENT_REACTIONS
            load: Callable[..., Any] = partial(enrollment.load, policy=policy_of(setting))
            save: Callable[..., Any] = enrollment.save
        case Service.STUDENT:
            reactions, load, save = STUDENT_REACTIONS, student.load, student.save
        case Service.CAPACITY:
            reactions, load, save = CAPACITY_REACTIONS, capacity.load, capacity.save
        case unreachable:
            assert_never(unreachable)
    if poisoned:
        reactions = {
            event_type: partial(_react, handler, poisoned)
            for event_type, handler in reactions.items()
        }
    if refused:
        save = partial(_save, save, refused)
    return SimulatedParts(service, reactions, load, save)


async def _save(
    save: Callable[..., Awaitable[None]],
    refused: Refused,
    transaction: MemoryTransaction,
    state: Any,
) -> None:
    rows = next(getattr(state, one) for one in ROWS if hasattr(state, one))
    if any(row.enrollment_id in refused for row in rows.changed()):
        raise asyncpg.DataError("invalid input")
    await save(transaction, state)


def _react(
    handler: Callable[..., Sequence[Emitted]],
    poisoned: Poisoned,
    state: Any,
    event: Event,
    context: Context,
) -> Sequence[Emitted]:
    if (type(event).__name__, getattr(event, "enrollment_id", None)) in poisoned:
        raise PoisonError
    return handler(state, event, context)
