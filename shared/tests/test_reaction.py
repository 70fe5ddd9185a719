"""A batch's life, with a small machine of counters in place of a service."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.choreography import TOPIC_OF
from shared.codec import uses_inbox
from shared.events import (
    EnrollmentCancelled,
    EnrollmentConfirmed,
    EnrollmentEvent,
    EnrollmentRequested,
    Event,
    SeatReserved,
    SectionPublished,
    StudentValidated,
)
from shared.identifiers import (
    CourseId,
    EnrollmentId,
    EventId,
    PartitionKey,
    SectionId,
    StudentId,
    Term,
)
from shared.message import Arrival, Emitted, Message, Move, Unreadability, Unreadable
from shared.reaction import (
    Batch,
    Context,
    Folded,
    Holding,
    Parked,
    Reactions,
    Rows,
    describe_error,
    fold,
    react,
)

NOW = datetime(2026, 1, 12, 8, 0, tzinfo=UTC)
TERM, A = Term("T1"), SectionId("A")
POISON = "poison"
DETERMINISTIC = settings(max_examples=200, derandomize=True, deadline=None)


# A machine that counts what it reacted to, confirms each validation, and is easily poisoned.


@dataclass
class Counts:
    rows: Rows[EnrollmentId, int] = field(default_factory=lambda: Rows({}))
    order: list[Event] = field(default_factory=list)

    def of(self, number: int) -> int | None:
        return self.rows.get(enrollment(number))


def on_anything(state: Counts, event: EnrollmentEvent, context: Context) -> Sequence[Emitted]:
    if event.student_id == POISON:
        raise ValueError(f"{event.student_id} is a value that must not be told")
    state.order.append(event)
    state.rows.put(event.enrollment_id, (state.rows.get(event.enrollment_id) or 0) + 1)
    if not isinstance(event, StudentValidated):
        return ()
    confirmed = EnrollmentConfirmed(
        enrollment_id=event.enrollment_id,
        student_id=event.student_id,
        term=event.term,
        sections=event.sections,
    )
    return context.emit([confirmed])


def on_section_published(
    state: Counts, event: SectionPublished, _context: Context
) -> Sequence[Emitted]:
    if event.course_id == POISON:
        raise LookupError
    state.order.append(event)
    return ()


REACTIONS: Reactions[Counts] = {
    EnrollmentRequested: on_anything,
    StudentValidated: on_anything,
    SeatReserved: on_anything,
    EnrollmentCancelled: on_anything,
    SectionPublished: on_section_published,
}


def enrollment(number: int) -> EnrollmentId:
    return EnrollmentId(UUID(int=number))


def event_id(number: int) -> EventId:
    return EventId(UUID(int=number))


def requested(number: int, student: str = "S1") -> EnrollmentRequested:
    return EnrollmentRequested(
        enrollment_id=enrollment(number), student_id=StudentId(student), term=TERM, sections=(A,)
    )


def validated(number: int, student: str = "S1") -> StudentValidated:
    return StudentValidated(
        enrollment_id=enrollment(number),
        student_id=StudentId(student),
        term=TERM,
        sections=(A,),
        credits=3,
    )


def reserved(number: int, student: str = "S1") -> SeatReserved:
    return SeatReserved(
        enrollment_id=enrollment(number),
        student_id=StudentId(student),
        term=TERM,
        sections=(A,),
        seats=(),
    )


def cancelled(number: int) -> EnrollmentCancelled:
    return EnrollmentCancelled(
        enrollment_id=enrollment(number),
        student_id=StudentId("S1"),
        term=TERM,
        sections=(A,),
        was="pending",
    )


def published(course: str = "C1") -> SectionPublished:
    return SectionPublished(
        version=1, term=TERM, section_id=A, course_id=CourseId(course), capacity=1, credits=3
    )


def arrival(event: Event, number: int = 0, *, traceparent: str | None = None) -> Arrival:
    message = Message(TOPIC_OF[type(event)].name, 0, number, None, b"{}", ())
    return Arrival(message, event_id(number), event, traceparent)


def folded(state: Counts, *events: Event, held: set[Holding] | None = None) -> Folded:
    arrivals = [arrival(event, number) for number, event in enumerate(events)]
    return fold(state, arrivals, held or set(), REACTIONS, NOW)


def parked(found: Folded) -> list[tuple[int, str]]:
    return [(one.message.offset, one.reason) for one in found.parked]


# Rows.


def test_changed_rows_are_given_once_each_in_the_order_of_their_first_change() -> None:
    rows: Rows[str, int] = Rows({"a": 1, "b": 2, "c": 3})

    for key, value in (("b", 5), ("d", 6), ("b", 7)):
        rows.put(key, value)

    assert rows.changed() == [7, 6]
    assert list(rows.all()) == [1, 7, 3, 6]
    assert (rows.get("a"), rows.get("d"), rows.get("x")) == (1, 6, None)


def test_rows_leave_what_they_were_loaded_from_alone() -> None:
    loaded = {"a": 1}

    Rows(loaded).put("a", 2)

    assert loaded == {"a": 1}


# Folding.


def test_events_are_decided_in_their_order() -> None:
    state = Counts()
    events = [validated(1), reserved(2), validated(2), published(), cancelled(1)]

    found = folded(state, *events)

    assert state.order == events
    assert [one.event for one in found.emitted if isinstance(one.event, EnrollmentConfirmed)] == [
        EnrollmentConfirmed(
            enrollment_id=enrollment(number),
            student_id=StudentId("S1"),
            term=TERM,
            sections=(A,),
        )
        for number in (1, 2)
    ]


def test_what_is_said_continues_the_trace_of_its_cause() -> None:
    arrivals = [
        arrival(validated(1), 1, traceparent="one"),
        arrival(validated(2), 2, traceparent="two"),
    ]

    found = fold(Counts(), arrivals, set(), REACTIONS, NOW)

    assert [one.traceparent for one in found.emitted] == ["one", "two"]


def test_an_event_whose_decision_raises_is_parked_and_has_changed_nothing() -> None:
    state = Counts()

    found = folded(state, validated(1, POISON))

    (one,) = found.parked
    assert (one.reason, one.event_type, one.holds) == ("decision_raised", "StudentValidated", True)
    assert one.enrollment_id == enrollment(1)
    assert found.emitted == []
    assert state.order == []
    assert state.rows.changed() == []


def test_a_parked_event_holds_the_later_ones_of_its_enrollment_and_topic() -> None:
    state = Counts()

    found = folded(state, validated(1, POISON), validated(1), validated(1))

    assert parked(found) == [(0, "decision_raised"), (1, "held"), (2, "held")]
    assert all(one.holds for one in found.parked)
    assert found.emitted == []


def test_a_parked_event_holds_no_other_topic_and_no_other_enrollment() -> None:
    state = Counts()

    found = folded(state, validated(1, POISON), reserved(1), validated(2), cancelled(1))

    assert parked(found) == [(0, "decision_raised")]
    assert (state.of(1), state.of(2)) == (2, 1)


def test_what_came_before_a_parked_event_stays_decided() -> None:
    state = Counts()

    found = folded(state, validated(1), validated(1, POISON))

    assert parked(found) == [(1, "decision_raised")]
    assert state.of(1) == 1
    assert len(found.emitted) == 1


def test_an_older_dead_letter_holds_new_arrivals() -> None:
    state = Counts()
    held = {("student.events", enrollment(1))}

    found = folded(state, validated(1), reserved(1), validated(2), held=held)

    assert parked(found) == [(0, "held")]
    assert found.parked[0].holds
    assert (state.of(1), state.of(2)) == (1, 1)


def test_catalogs_are_parked_but_hold_nothing() -> None:
    state = Counts()

    found = folded(state, published(POISON), published(), validated(1))

    assert parked(found) == [(0, "decision_raised")]
    assert found.parked[0].enrollment_id is None
    assert not found.parked[0].holds
    assert len(state.order) == 2


def test_an_event_without_a_reaction_is_parked_not_dropped() -> None:
    lacking = {cls: handler for cls, handler in REACTIONS.items() if cls is not SeatReserved}

    found = fold(Counts(), [arrival(reserved(1))], set(), lacking, NOW)

    assert parked(found) == [(0, "decision_raised")]


def test_the_detail_of_an_error_tells_its_kind_and_place_but_no_value() -> None:
    found = folded(Counts(), validated(1, POISON))

    detail = found.parked[0].detail
    assert detail.startswith("ValueError at shared/tests/test_reaction.py:")
    assert POISON not in detail


def test_an_error_that_was_never_raised_happened_nowhere() -> None:
    assert describe_error(ValueError("x")) == "ValueError at nowhere"


histories = st.lists(
    st.builds(
        lambda make, number, student: make(number, student),
        st.sampled_from([validated, reserved]),
        st.integers(1, 3),
        st.sampled_from(["S1", "S1", "S1", POISON]),
    ),
    max_size=20,
)


@given(histories)
@DETERMINISTIC
def test_each_event_is_decided_or_parked_and_nothing_overtakes_a_parked_one(
    history: list[EnrollmentEvent],
) -> None:
    state = Counts()

    found = folded(state, *history)

    is_parked = {one.message.offset for one in found.parked}
    assert state.order == [e for number, e in enumerate(history) if number not in is_parked]
    blocked: set[Holding] = set()
    for number, event in enumerate(history):
        holding = (TOPIC_OF[type(event)].name, event.enrollment_id)
        if event.student_id == POISON:
            blocked.add(holding)
        assert (number in is_parked) == (holding in blocked)


# Reacting: the steps of one transaction.


@dataclass
class MemoryUnit:
    """A unit of work that keeps everything in memory, and the order of the steps."""

    taken: set[EventId] = field(default_factory=set)
    held: set[Holding] = field(default_factory=set)
    state: Counts = field(default_factory=Counts)
    steps: list[str] = field(default_factory=list)
    loaded: list[Event] = field(default_factory=list)
    emitted: list[Emitted] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)
    moved: dict[PartitionKey, Move] = field(default_factory=dict)
    saved: list[Counts] = field(default_factory=list)
    times: set[datetime] = field(default_factory=set)

    async def advance(self, moves: Mapping[PartitionKey, Move]) -> None:
        self.steps.append("advance")
        self.moved.update(moves)

    async def claim(self, event_ids: Collection[EventId]) -> set[EventId]:
        self.steps.append("claim")
        fresh = set(event_ids) - self.taken
        self.taken |= fresh
        return fresh

    async def holding(self, enrollment_ids: Collection[EnrollmentId]) -> set[Holding]:
        self.steps.append("holding")
        return {held for held in self.held if held[1] in enrollment_ids}

    async def load(self, events: Sequence[Event]) -> Counts:
        self.steps.append("load")
        self.loaded.extend(events)
        return self.state

    async def save(self, state: Counts) -> None:
        self.steps.append("save")
        self.saved.append(state)

    async def emit(self, emitted: Sequence[Emitted], now: datetime) -> None:
        self.steps.append("emit")
        self.emitted.extend(emitted)
        self.times.add(now)

    async def park(self, parked: Sequence[Parked], now: datetime) -> None:
        self.steps.append("park")
        self.parked.extend(parked)
        self.times.add(now)


async def reacted(unit: MemoryUnit, *arrivals: Arrival, bad: Sequence[Unreadable] = ()) -> Folded:
    batch = Batch(arrivals, bad, {PartitionKey("student.events", 0): Move(0, 9)})
    return await react(unit, batch, REACTIONS, NOW, uses_inbox=uses_inbox)


async def test_rows_are_locked_before_anything_is_decided() -> None:
    unit = MemoryUnit()

    await reacted(unit, arrival(validated(1)))

    assert unit.steps == ["advance", "claim", "holding", "load", "save", "emit", "park"]


async def test_offsets_rows_and_events_are_kept_together_and_under_one_time() -> None:
    unit = MemoryUnit()

    found = await reacted(unit, arrival(validated(1)))

    assert unit.moved == {PartitionKey("student.events", 0): Move(0, 9)}
    assert unit.saved == [unit.state]
    assert unit.emitted == found.emitted
    assert unit.times == {NOW}


async def test_an_event_that_comes_twice_in_a_batch_is_decided_once() -> None:
    unit = MemoryUnit()

    found = await reacted(unit, arrival(validated(1), 7), arrival(validated(1), 7))

    assert found.duplicates == 1
    assert unit.state.of(1) == 1
    assert len(unit.emitted) == 1


async def test_an_event_that_came_in_an_earlier_batch_is_a_duplicate() -> None:
    unit = MemoryUnit()
    await reacted(unit, arrival(validated(1), 7))

    found = await reacted(unit, arrival(validated(1), 7), arrival(validated(2), 8))

    assert found.duplicates == 1
    assert [event for event in unit.loaded if isinstance(event, StudentValidated)] == [
        validated(1),
        validated(2),
    ]
    assert (unit.state.of(1), unit.state.of(2)) == (1, 1)


async def test_requests_and_catalogs_are_never_duplicates_by_the_id_of_their_event() -> None:
    unit = MemoryUnit()

    found = await reacted(
        unit,
        arrival(requested(1), 7),
        arrival(requested(2), 7),
        arrival(published(), 7),
        arrival(published(), 7),
    )

    assert found.duplicates == 0
    assert unit.taken == set()
    assert len(unit.state.order) == 4


async def test_a_parked_event_has_its_id_taken() -> None:
    unit = MemoryUnit()
    await reacted(unit, arrival(validated(1, POISON), 7))

    again = await reacted(unit, arrival(validated(1, POISON), 7))

    assert again.duplicates == 1
    assert [one.reason for one in unit.parked] == ["decision_raised"]


async def test_dead_letters_of_earlier_batches_hold_their_enrollment() -> None:
    unit = MemoryUnit(held={("student.events", enrollment(1))})

    await reacted(unit, arrival(validated(1), 7), arrival(validated(2), 8))

    assert [(one.message.offset, one.reason) for one in unit.parked] == [(7, "held")]
    assert unit.state.of(2) == 1


async def test_what_cannot_be_read_is_parked_and_holds_nothing() -> None:
    unit = MemoryUnit()
    message = Message("student.events", 0, 5, None, b"x", ())
    bad = Unreadable(message, Unreadability.NOT_JSON, "the body is not JSON")

    await reacted(unit, arrival(validated(1), 7), bad=[bad])

    assert unit.parked == [Parked(message, "not_json", "the body is not JSON")]
    assert not unit.parked[0].holds
    assert unit.state.of(1) == 1
