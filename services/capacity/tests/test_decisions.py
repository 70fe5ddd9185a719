"""The rules of seats, one by one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import pytest

from services.capacity.handlers import REACTIONS
from services.capacity.model import Reservation, ReservationState, Section, State
from shared.choreography import SECTION_CATALOG, TOPIC_OF
from shared.events import (
    EnrollmentCancelled,
    EnrollmentRejected,
    Event,
    ReasonCode,
    SeatCount,
    SeatReleased,
    SeatReserved,
    SeatUnavailable,
    SectionPublished,
    SectionState,
    SectionWithdrawn,
    Stage,
    StudentValidated,
)
from shared.identifiers import (
    CourseId,
    EnrollmentId,
    EventId,
    SectionId,
    SectionKey,
    StudentId,
    Term,
)
from shared.message import Arrival, Message
from shared.reaction import Folded, Rows, fold

NOW = datetime(2026, 1, 12, 8, 0, tzinfo=UTC)
TERM = Term("2026-1")


def enrollment(number: int) -> EnrollmentId:
    return EnrollmentId(UUID(int=number))


def key(section_id: str) -> SectionKey:
    return SectionKey(TERM, SectionId(section_id))


def published(
    section_id: str,
    capacity: int = 1,
    *,
    version: int = 1,
    state: SectionState = SectionState.OPEN,
) -> SectionPublished:
    return SectionPublished(
        version=version,
        term=TERM,
        section_id=SectionId(section_id),
        course_id=CourseId(f"course-{section_id}"),
        capacity=capacity,
        credits=3,
        state=state,
    )


def validated(number: int, *sections: str, student: str = "S1") -> StudentValidated:
    return StudentValidated(
        enrollment_id=enrollment(number),
        student_id=StudentId(student),
        term=TERM,
        sections=tuple(SectionId(s) for s in sections),
        credits=3 * len(sections),
    )


def rejected(
    number: int, *sections: str, student: str = "S1", stage: Stage = Stage.DEADLINE
) -> EnrollmentRejected:
    return EnrollmentRejected(
        enrollment_id=enrollment(number),
        student_id=StudentId(student),
        term=TERM if sections else None,
        sections=tuple(SectionId(s) for s in sections) or None,
        stage=stage,
        reasons=(),
    )


def cancelled(
    number: int,
    *sections: str,
    student: str = "S1",
    was: Literal["pending", "confirmed"] = "confirmed",
) -> EnrollmentCancelled:
    return EnrollmentCancelled(
        enrollment_id=enrollment(number),
        student_id=StudentId(student),
        term=TERM,
        sections=tuple(SectionId(s) for s in sections),
        was=was,
    )


def arrival(event: Event) -> Arrival:
    topic = TOPIC_OF.get(type(event), SECTION_CATALOG).name
    message = Message(topic, 0, 0, None, b"{}", ())
    return Arrival(message, EventId(UUID(int=0)), event, None)


def fresh() -> State:
    return State(Rows({}), Rows({}))


def apply(state: State, events: Sequence[Event]) -> Folded:
    return fold(state, [arrival(event) for event in events], set(), REACTIONS, NOW)


def said(state: State, *events: Event) -> list[Event]:
    """Let capacity react to events; give what it says. None of them may raise."""
    folded = apply(state, events)
    assert folded.parked == []
    return [one.event for one in folded.emitted]


def offering(*sections: SectionPublished) -> State:
    state = fresh()
    assert said(state, *sections) == []
    return state


def section_of(state: State, section_id: str) -> Section:
    section = state.sections.get(key(section_id))
    assert section is not None
    return section


def reservation_of(state: State, number: int) -> Reservation:
    reservation = state.reservations.get(enrollment(number))
    assert reservation is not None
    return reservation


def entry(
    section_id: str, sequence: int, reserved: int, *, capacity: int, version: int = 1
) -> SeatCount:
    return SeatCount(
        section_id=SectionId(section_id),
        seat_sequence=sequence,
        reserved=reserved,
        capacity=capacity,
        version=version,
    )


def reserved_seats(event: Event) -> tuple[SeatCount, ...]:
    assert isinstance(event, SeatReserved)
    return event.seats


def refusal(events: list[Event]) -> SeatUnavailable:
    (event,) = events
    assert isinstance(event, SeatUnavailable)
    return event


def codes(event: SeatUnavailable) -> list[tuple[str, str | None]]:
    return [(reason.code, reason.section_id) for reason in event.reasons]


# Taking seats: all or none.


def test_a_seat_is_taken_in_every_section() -> None:
    state = offering(published("A", 2), published("B", 5))

    (event,) = said(state, validated(1, "A", "B"))

    assert event == SeatReserved(
        enrollment_id=enrollment(1),
        student_id=StudentId("S1"),
        term=TERM,
        sections=(SectionId("A"), SectionId("B")),
        seats=(entry("A", 1, 1, capacity=2), entry("B", 1, 1, capacity=5)),
    )
    assert reservation_of(state, 1).state is ReservationState.RESERVED


def test_a_full_section_leaves_the_others_untouched() -> None:
    state = offering(published("A", 1), published("B", 0))

    event = refusal(said(state, validated(1, "A", "B")))

    assert codes(event) == [(ReasonCode.SECTION_FULL, "B")]
    assert section_of(state, "A").reserved == 0
    assert section_of(state, "A").seat_sequence == 0
    assert reservation_of(state, 1).state is ReservationState.REFUSED


def test_the_last_seat_goes_to_the_first_who_asks() -> None:
    state = offering(published("A", 1))

    events = said(state, validated(1, "A"), validated(2, "A", student="S2"))

    assert [type(event) for event in events] == [SeatReserved, SeatUnavailable]


def test_every_obstacle_is_named_at_once_in_the_order_of_the_request() -> None:
    state = offering(
        published("closed", state=SectionState.CLOSED),
        published("cancelled", state=SectionState.CANCELLED),
        published("full", 0),
        published("free", 9),
    )

    event = refusal(said(state, validated(1, "unknown", "full", "free", "cancelled", "closed")))

    assert codes(event) == [
        (ReasonCode.UNKNOWN_SECTION, "unknown"),
        (ReasonCode.SECTION_FULL, "full"),
        (ReasonCode.SECTION_CANCELLED, "cancelled"),
        (ReasonCode.SECTION_CLOSED, "closed"),
    ]


def test_a_section_of_the_same_name_in_another_term_is_another_section() -> None:
    other_term = published("A", 9).model_copy(update={"term": Term("2026-2")})
    state = offering(other_term)

    event = refusal(said(state, validated(1, "A")))

    assert codes(event) == [(ReasonCode.UNKNOWN_SECTION, "A")]


# One row an enrollment: a known id changes nothing.


def test_a_question_is_answered_once() -> None:
    state = offering(published("A", 5))
    said(state, validated(1, "A"))

    again = said(state, validated(1, "A"))

    assert again == []
    assert section_of(state, "A").reserved == 1


def test_a_refused_question_is_not_asked_again_when_a_seat_opens() -> None:
    state = offering(published("A", 0))
    said(state, validated(1, "A"), published("A", 5, version=2))

    again = said(state, validated(1, "A"))

    assert again == []
    assert section_of(state, "A").reserved == 0


def test_a_released_reservation_is_never_reserved_again() -> None:
    state = offering(published("A", 5))
    said(state, validated(1, "A"), cancelled(1, "A"))

    again = said(state, validated(1, "A"))

    assert again == []
    assert section_of(state, "A").reserved == 0
    assert reservation_of(state, 1).state is ReservationState.RELEASED


@pytest.mark.parametrize("end", [rejected(1, "A"), cancelled(1, "A"), rejected(1)])
def test_a_release_before_the_question_makes_a_mark_and_says_nothing(end: Event) -> None:
    state = offering(published("A", 5))

    events = said(state, end)

    assert events == []
    assert reservation_of(state, 1).state is ReservationState.RELEASED
    assert not reservation_of(state, 1).is_answered


def test_a_question_under_a_mark_gets_one_refusal_and_then_nothing() -> None:
    state = offering(published("A", 5))
    said(state, rejected(1, "A"))

    first = said(state, validated(1, "A"))
    second = said(state, validated(1, "A"), rejected(1, "A"), validated(1, "A"))

    assert codes(refusal(first)) == [(ReasonCode.ALREADY_RELEASED, None)]
    assert second == []
    assert section_of(state, "A").reserved == 0
    assert reservation_of(state, 1).state is ReservationState.RELEASED


def test_a_mark_outweighs_every_other_obstacle() -> None:
    state = offering(published("A", 0))
    said(state, rejected(1, "A"))

    event = refusal(said(state, validated(1, "A", "unknown")))

    assert codes(event) == [(ReasonCode.ALREADY_RELEASED, None)]


# Giving seats back: exactly those held, once.


@pytest.mark.parametrize("end", [rejected(1, "A", "B"), cancelled(1, "A", "B"), rejected(1)])
def test_every_seat_that_is_held_is_given_back(end: Event) -> None:
    state = offering(published("A", 2), published("B", 2))
    said(state, validated(1, "A", "B"), validated(2, "B", student="S2"))

    (event,) = said(state, end)

    assert event == SeatReleased(
        enrollment_id=enrollment(1),
        student_id=StudentId("S1"),
        term=TERM,
        sections=(SectionId("A"), SectionId("B")),
        seats=(entry("A", 2, 0, capacity=2), entry("B", 3, 1, capacity=2)),
    )


def test_a_release_gives_back_what_the_row_holds_not_what_the_event_names() -> None:
    state = offering(published("A", 2), published("B", 2))
    said(state, validated(1, "A"), validated(2, "B", student="S2"))

    said(state, cancelled(1, "B"))

    assert section_of(state, "A").reserved == 0
    assert section_of(state, "B").reserved == 1


def test_seats_are_given_back_once() -> None:
    state = offering(published("A", 2))
    said(state, validated(1, "A"), validated(2, "A", student="S2"), cancelled(1, "A"))

    again = said(state, cancelled(1, "A"), rejected(1, "A"))

    assert again == []
    assert section_of(state, "A").reserved == 1


def test_a_refused_enrollment_has_no_seats_to_give_back() -> None:
    state = offering(published("A", 1))
    said(state, validated(1, "A"), validated(2, "A", student="S2"))

    events = said(state, rejected(2, "A", student="S2", stage=Stage.CAPACITY))

    assert events == []
    assert section_of(state, "A").reserved == 1
    assert reservation_of(state, 2).state is ReservationState.RELEASED


def test_the_end_of_another_students_enrollment_changes_nothing() -> None:
    state = offering(published("A", 1))
    said(state, validated(1, "A"))

    events = said(state, cancelled(1, "A", student="S2"))

    assert events == []
    assert reservation_of(state, 1).state is ReservationState.RESERVED
    assert section_of(state, "A").reserved == 1


def test_seats_of_a_cancelled_section_are_given_back_too() -> None:
    state = offering(published("A", 1))
    said(state, validated(1, "A"), SectionWithdrawn(key=key("A")))

    (event,) = said(state, cancelled(1, "A"))

    assert isinstance(event, SeatReleased)
    assert section_of(state, "A").reserved == 0


# Capacity that moves: free is computed, nobody is evicted.


def test_a_capacity_below_the_reserved_seats_evicts_nobody() -> None:
    state = offering(published("A", 2))
    said(state, validated(1, "A"), validated(2, "A", student="S2"))

    events = said(state, published("A", 1, version=2))

    assert events == []
    assert section_of(state, "A").reserved == 2
    assert section_of(state, "A").free == 0


def test_a_seat_given_back_above_the_capacity_is_not_free() -> None:
    state = offering(published("A", 2))
    said(state, validated(1, "A"), validated(2, "A", student="S2"), published("A", 1, version=2))

    said(state, cancelled(1, "A"))

    event = refusal(said(state, validated(3, "A", student="S3")))
    assert codes(event) == [(ReasonCode.SECTION_FULL, "A")]
    assert section_of(state, "A").reserved == 1


def test_a_raised_capacity_opens_seats() -> None:
    state = offering(published("A", 1))
    said(state, validated(1, "A"), published("A", 2, version=2))

    (event,) = said(state, validated(2, "A", student="S2"))

    assert reserved_seats(event) == (entry("A", 2, 2, capacity=2, version=2),)


# The catalog: the highest version counts.


@pytest.mark.parametrize("version", [6, 7])
def test_an_equal_or_lower_version_is_ignored(version: int) -> None:
    state = offering(published("A", 3, version=7))

    said(state, published("A", 9, version=version, state=SectionState.CLOSED))

    assert section_of(state, "A") == Section(key("A"), 7, 3, SectionState.OPEN)


def test_a_newer_version_keeps_the_seats_and_their_count() -> None:
    state = offering(published("A", 3))
    said(state, validated(1, "A"))

    said(state, published("A", 9, version=2, state=SectionState.CLOSED))

    assert section_of(state, "A") == Section(
        key("A"), 2, 9, SectionState.CLOSED, reserved=1, seat_sequence=1
    )


def test_a_tombstone_cancels_the_section() -> None:
    state = offering(published("A", 3))

    said(state, SectionWithdrawn(key=key("A")))

    assert codes(refusal(said(state, validated(1, "A")))) == [(ReasonCode.SECTION_CANCELLED, "A")]


def test_a_tombstone_of_an_unknown_section_is_nothing() -> None:
    state = fresh()

    events = said(state, SectionWithdrawn(key=key("A")))

    assert events == []
    assert state.sections.changed() == []


def test_only_a_newer_version_brings_a_deleted_section_back() -> None:
    state = offering(published("A", 3))
    said(state, SectionWithdrawn(key=key("A")))

    said(state, published("A", 3))
    before = section_of(state, "A").state
    said(state, published("A", 3, version=2))
    after = section_of(state, "A").state

    assert (before, after) == (SectionState.CANCELLED, SectionState.OPEN)


# The ledger: one entry for each section that is known, one number for each change.


def test_each_change_of_the_seats_has_the_next_number() -> None:
    state = offering(published("A", 2))

    events = said(state, validated(1, "A"), validated(2, "A", student="S2"), cancelled(1, "A"))

    seats = [count for event in events for count in getattr(event, "seats", ())]
    assert [(count.seat_sequence, count.reserved) for count in seats] == [(1, 1), (2, 2), (3, 1)]


def test_a_refusal_repeats_the_current_number() -> None:
    state = offering(published("A", 1, version=4), published("B", 1, version=9))
    said(state, validated(1, "A"))

    event = refusal(said(state, validated(2, "A", "B", student="S2")))

    assert event.seats == (
        entry("A", 1, 1, capacity=1, version=4),
        entry("B", 0, 0, capacity=1, version=9),
    )


def test_an_unknown_section_has_no_entry() -> None:
    state = offering(published("A", 1))

    event = refusal(said(state, validated(1, "unknown", "A")))

    assert event.seats == (entry("A", 0, 0, capacity=1),)


def test_a_refusal_under_a_mark_shows_the_seats_as_they_are() -> None:
    state = offering(published("A", 2))
    said(state, validated(1, "A"), rejected(2, "A", student="S2"))

    event = refusal(said(state, validated(2, "A", student="S2")))

    assert event.seats == (entry("A", 1, 1, capacity=2),)
