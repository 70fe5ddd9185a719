"""What happens to a batch inside its transaction: claim, load, decide in order, save, emit."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar, cast

from shared.codec import occurred_at
from shared.events import Event
from shared.identifiers import EnrollmentId, EventId, PartitionKey
from shared.message import Arrival, Emitted, Message, Move, Unreadable

Key = TypeVar("Key")
Row = TypeVar("Row")
State = TypeVar("State")
AnyEvent = TypeVar("AnyEvent", bound=Event)

Holding = tuple[str, EnrollmentId]  # a topic, and an enrollment whose events of it are held


class Rows(Generic[Key, Row]):
    """The rows of one table that a batch has loaded; remembers which were changed."""

    def __init__(self, loaded: Mapping[Key, Row]) -> None:
        self._loaded = frozenset(loaded)
        self._rows = dict(loaded)
        self._changed: dict[Key, None] = {}

    def get(self, key: Key) -> Row | None:
        """Give the row as the batch has it by now."""
        return self._rows.get(key)

    def put(self, key: Key, row: Row) -> None:
        """Keep a new version of a row, to be saved with the batch."""
        self._rows[key] = row
        self._changed[key] = None

    def is_new(self, key: Key) -> bool:
        """Tell whether the row was missing when the batch began."""
        return key not in self._loaded

    def all(self) -> Iterable[Row]:
        """Give every loaded row."""
        return self._rows.values()

    def changed(self) -> list[Row]:
        """Give the rows to save, each once, in the order of their first change."""
        return [self._rows[key] for key in self._changed]


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler may know beside the event: the time, and the trace it is part of."""

    now: datetime
    traceparent: str | None
    message: Message | None = None

    @property
    def occurred_at(self) -> datetime:
        """Tell when it came about, which for what is read late is not now; looks it up."""
        at = occurred_at(self.message) if self.message is not None else None
        return self.now if at is None else at

    def emit(self, events: Iterable[Event]) -> list[Emitted]:
        """Let events continue the trace of the one that caused them."""
        return [Emitted(event, self.traceparent) for event in events]


def only(events: Iterable[Event], *types: type[AnyEvent]) -> list[AnyEvent]:
    """Pick the events of exactly these types; isinstance on models costs ten times as much."""
    wanted = frozenset(types)
    return [cast("AnyEvent", event) for event in events if type(event) in wanted]


def enrollments_of(events: Iterable[Event]) -> set[EnrollmentId]:
    """Name the enrollments that events are about."""
    return {event.enrollment_id for event in events if hasattr(event, "enrollment_id")}


Handler = Callable[[State, Any, Context], Sequence[Emitted]]
Reactions = Mapping[type[Event], Handler[State]]


@dataclass(frozen=True, slots=True)
class Parked:
    """A message on its way into the dead letters; `holds` stops its enrollment's later ones."""

    message: Message
    reason: str
    detail: str
    event_type: str | None = None
    enrollment_id: EnrollmentId | None = None
    holds: bool = False


@dataclass(slots=True)
class Folded:
    """What came of folding the decisions over a batch."""

    emitted: list[Emitted] = field(default_factory=list)
    caused: list[tuple[Message, Sequence[Emitted]]] = field(default_factory=list)  # by which event
    parked: list[Parked] = field(default_factory=list)
    duplicates: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """What one reading of the consumer brought, in offset order within each partition."""

    arrivals: Sequence[Arrival]
    unreadable: Sequence[Unreadable]
    moves: Mapping[PartitionKey, Move]


class Unit(Protocol[State]):
    """One transaction of a service. Its methods stand in the order in which rows are locked."""

    async def advance(self, moves: Mapping[PartitionKey, Move]) -> None:
        """Move the consumer's offsets; raise StaleBatchError where they have been moved."""

    async def claim(self, event_ids: Collection[EventId]) -> set[EventId]:
        """Take ids for the inbox; return those not taken before."""

    async def holding(self, enrollment_ids: Collection[EnrollmentId]) -> set[Holding]:
        """Tell for which of these enrollments, and in which topics, a dead letter holds others."""

    async def load(self, events: Sequence[Event]) -> State:
        """Read every row that these events may touch, and lock those that they may change."""

    async def save(self, state: State) -> None:
        """Write the changed rows."""

    async def emit(self, emitted: Sequence[Emitted], now: datetime) -> None:
        """Append events to the outbox."""

    async def park(self, parked: Sequence[Parked], now: datetime) -> None:
        """Append messages to the dead letters."""


OpenUnit = Callable[[], AbstractAsyncContextManager[Unit[State]]]


async def react(
    unit: Unit[State],
    batch: Batch,
    reactions: Reactions[State],
    now: datetime,
    *,
    uses_inbox: Callable[[str], bool],
) -> Folded:
    """Do everything that a batch asks for, in the transaction of `unit`. The caller commits."""
    await unit.advance(batch.moves)
    fresh = await unit.claim([a.event_id for a in batch.arrivals if uses_inbox(a.message.topic)])
    held = await unit.holding({a.enrollment_id for a in batch.arrivals if a.enrollment_id})
    arrivals, duplicates = _without_duplicates(batch.arrivals, fresh, uses_inbox)
    state = await unit.load([arrival.event for arrival in arrivals])
    folded = fold(state, arrivals, held, reactions, now)
    folded.duplicates = duplicates
    folded.parked.extend(
        Parked(bad.message, bad.reason.value, bad.detail) for bad in batch.unreadable
    )
    await unit.save(state)
    await unit.emit(folded.emitted, now)
    await unit.park(folded.parked, now)
    return folded


def _without_duplicates(
    arrivals: Sequence[Arrival], fresh: set[EventId], uses_inbox: Callable[[str], bool]
) -> tuple[list[Arrival], int]:
    """Keep the first arrival of each fresh id; a batch may hold the same event twice."""
    kept = []
    for arrival in arrivals:
        if uses_inbox(arrival.message.topic):
            if arrival.event_id not in fresh:
                continue
            fresh.remove(arrival.event_id)
        kept.append(arrival)
    return kept, len(arrivals) - len(kept)


def fold(
    state: State,
    arrivals: Sequence[Arrival],
    held: set[Holding],
    reactions: Reactions[State],
    now: datetime,
) -> Folded:
    """Let the handlers decide, one event after the other; pure but for `state`.

    A handler that raises has changed nothing: its event is parked, and so is whatever comes after
    it for the same enrollment in the same topic. The others go on.
    """
    folded = Folded()
    for arrival in arrivals:
        topic, enrollment_id = arrival.message.topic, arrival.enrollment_id
        if enrollment_id is not None and (topic, enrollment_id) in held:
            folded.parked.append(_park(arrival, "held", "waits behind an earlier dead letter"))
            continue
        try:
            context = Context(now, arrival.traceparent, arrival.message)
            emitted = reactions[type(arrival.event)](state, arrival.event, context)
        except Exception as error:  # noqa: BLE001  a poisonous event must not stop the others
            folded.parked.append(_park(arrival, "decision_raised", describe_error(error)))
            if enrollment_id is not None:
                held.add((topic, enrollment_id))
        else:
            folded.emitted.extend(emitted)
            folded.caused.append((arrival.message, emitted))
    return folded


def _park(arrival: Arrival, reason: str, detail: str) -> Parked:
    return Parked(
        arrival.message,
        reason,
        detail,
        event_type=type(arrival.event).__name__,
        enrollment_id=arrival.enrollment_id,
        holds=arrival.enrollment_id is not None,
    )


def describe_error(error: BaseException) -> str:
    """Say what was raised and where, without the values at hand: they may be personal."""
    trace, place = error.__traceback__, "nowhere"
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__} at {'/'.join(place.split('/')[-3:])}"
