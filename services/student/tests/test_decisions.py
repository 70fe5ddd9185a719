"""The rules of eligibility and of claims, one by one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import pytest

from services.student.handlers import REACTIONS
from services.student.model import Claim, ClaimState, State, slots_of
from shared.choreography import SECTION_CATALOG, STUDENT_CATALOG, TOPIC_OF
from shared.events import (
    EnrollmentCancelled,
    EnrollmentOpened,
    EnrollmentRejected,
    Event,
    Meeting,
    ReasonCode,
    SectionPublished,
    SectionWithdrawn,
    Stage,
    StudentClaimReleased,
    StudentPublished,
    StudentRejected,
    StudentValidated,
    StudentWithdrawn,
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
from shared.reaction import Folded, fold

NOW = datetime(2026, 1, 12, 8, 0, tzinfo=UTC)
TERM = Term("2026-1")
NEXT_TERM = Term("2026-2")
MONDAY, TUESDAY = "1000000", "0100000"


def enrollment(number: int) -> EnrollmentId:
    return EnrollmentId(UUID(int=number))


def meeting(start: int, end: int, *, days: str = MONDAY, weeks: str = "1" * 16) -> Meeting:
    return Meeting(days=days, weeks=weeks, start_minute=start, end_minute=end)


def section(
    section_id: str, *meetings: Meeting, worth: int = 3, version: int = 1, term: Term = TERM
) -> SectionPublished:
    return SectionPublished(
        version=version,
        term=term,
        section_id=SectionId(section_id),
        course_id=CourseId(f"course-{section_id}"),
        capacity=30,
        credits=worth,
        meetings=meetings,
    )


def student(
    student_id: str = "S1", *, max_credits: int = 100, version: int = 1
) -> StudentPublished:
    return StudentPublished(
        version=version, student_id=StudentId(student_id), max_credits=max_credits
    )


def opened(
    number: int, *sections: str, student_id: str = "S1", term: Term = TERM
) -> EnrollmentOpened:
    return EnrollmentOpened(
        enrollment_id=enrollment(number),
        student_id=StudentId(student_id),
        term=term,
        sections=tuple(SectionId(s) for s in sections),
        deadline_at=NOW,
    )


def rejected(number: int, *sections: str, student_id: str = "S1") -> EnrollmentRejected:
    return EnrollmentRejected(
        enrollment_id=enrollment(number),
        student_id=StudentId(student_id),
        term=TERM if sections else None,
        sections=tuple(SectionId(s) for s in sections) or None,
        stage=Stage.DEADLINE,
        reasons=(),
    )


def cancelled(
    number: int,
    *sections: str,
    student_id: str = "S1",
    was: Literal["pending", "confirmed"] = "confirmed",
) -> EnrollmentCancelled:
    return EnrollmentCancelled(
        enrollment_id=enrollment(number),
        student_id=StudentId(student_id),
        term=TERM,
        sections=tuple(SectionId(s) for s in sections),
        was=was,
    )


def withdrawn(section_id: str) -> SectionWithdrawn:
    return SectionWithdrawn(key=SectionKey(TERM, SectionId(section_id)))


def arrival(event: Event) -> Arrival:
    catalog = STUDENT_CATALOG if isinstance(event, StudentWithdrawn) else SECTION_CATALOG
    topic = TOPIC_OF.get(type(event), catalog).name
    message = Message(topic, 0, 0, None, b"{}", ())
    return Arrival(message, EventId(UUID(int=0)), event, None)


def fresh() -> State:
    return State(claims={}, students={}, sections={})


def apply(state: State, events: Sequence[Event]) -> Folded:
    return fold(state, [arrival(event) for event in events], set(), REACTIONS, NOW)


def said(state: State, *events: Event) -> list[Event]:
    """Let student react to events; give what it says. None of them may raise."""
    folded = apply(state, events)
    assert folded.parked == []
    return [one.event for one in folded.emitted]


def knowing(*catalog: SectionPublished | StudentPublished) -> State:
    state = fresh()
    assert said(state, *catalog) == []
    return state


def claim_of(state: State, number: int) -> Claim:
    claim = state.claims.get(enrollment(number))
    assert claim is not None
    return claim


def codes(events: list[Event]) -> list[tuple[ReasonCode, str | None]]:
    """Give the reasons of the one refusal that was said."""
    (event,) = events
    assert isinstance(event, StudentRejected)
    return [(reason.code, reason.section_id) for reason in event.reasons]


def is_validated(events: list[Event]) -> bool:
    return [type(event) for event in events] == [StudentValidated]


# A claim holds what it was decided with.


def test_an_eligible_student_is_validated_and_her_credits_and_times_are_claimed() -> None:
    monday, tuesday = meeting(480, 540), meeting(480, 600, days=TUESDAY)
    state = knowing(
        student(max_credits=20), section("A", monday, worth=4), section("B", tuesday, worth=6)
    )

    (event,) = said(state, opened(1, "A", "B"))

    assert event == StudentValidated(
        enrollment_id=enrollment(1),
        student_id=StudentId("S1"),
        term=TERM,
        sections=(SectionId("A"), SectionId("B")),
        credits=10,
    )
    claim = claim_of(state, 1)
    assert (claim.state, claim.credits, claim.credit_limit) == (ClaimState.CLAIMED, 10, 20)
    assert claim.slots == (
        *slots_of(SectionId("A"), [monday]),
        *slots_of(SectionId("B"), [tuesday]),
    )


def test_exactly_the_claimed_credits_are_given_back_whatever_the_catalog_says_later() -> None:
    state = knowing(student(), section("A", worth=4))
    said(state, opened(1, "A"), section("A", worth=6, version=2))

    (event,) = said(state, cancelled(1, "A"))

    assert event == StudentClaimReleased(
        enrollment_id=enrollment(1),
        student_id=StudentId("S1"),
        term=TERM,
        sections=(SectionId("A"),),
        credits=4,
    )
    assert state.held_claims(StudentId("S1"), TERM) == []


def test_a_claim_counts_with_its_own_credits_after_the_catalog_changed() -> None:
    state = knowing(student(max_credits=10), section("A", worth=4), section("B", worth=6))
    said(state, opened(1, "A"), section("A", worth=9, version=2))

    events = said(state, opened(2, "B"))

    assert is_validated(events)


def test_a_claim_keeps_its_own_times_after_the_catalog_changed() -> None:
    state = knowing(student(), section("A", meeting(480, 540)), section("B", meeting(480, 540)))
    said(state, opened(1, "A"), section("A", meeting(900, 960), version=2))

    events = said(state, opened(2, "B"))

    assert codes(events) == [(ReasonCode.TIME_CONFLICT, "B")]


def test_what_was_given_back_can_be_claimed_again() -> None:
    state = knowing(student(max_credits=3), section("A", meeting(480, 540)))
    said(state, opened(1, "A"), cancelled(1, "A"))

    events = said(state, opened(2, "A"))

    assert is_validated(events)


def test_a_lower_limit_takes_no_claim_away() -> None:
    state = knowing(student(max_credits=3), section("A"))
    said(state, opened(1, "A"))

    events = said(state, student(max_credits=0, version=2))

    assert events == []
    assert claim_of(state, 1).credit_limit == 3
    assert claim_of(state, 1).state is ClaimState.CLAIMED


# One row an enrollment: a known id changes nothing.


def test_an_enrollment_is_decided_once() -> None:
    state = knowing(student(), section("A"))
    said(state, opened(1, "A"))

    again = said(state, opened(1, "A"))

    assert again == []


def test_a_refused_enrollment_is_not_decided_again_when_the_limit_is_raised() -> None:
    state = knowing(student(max_credits=1), section("A"))
    said(state, opened(1, "A"), student(max_credits=9, version=2))

    again = said(state, opened(1, "A"))

    assert again == []
    assert claim_of(state, 1).state is ClaimState.REFUSED


@pytest.mark.parametrize("end", [rejected(1, "A"), rejected(1), cancelled(1, "A")])
def test_an_end_before_the_opening_leaves_a_mark_under_which_nothing_is_claimed(end: Event) -> None:
    state = knowing(student(), section("A"))

    events = said(state, end, opened(1, "A"))

    assert events == []
    assert claim_of(state, 1).state is ClaimState.RELEASED
    assert state.held_claims(StudentId("S1"), TERM) == []


def test_a_released_claim_is_never_claimed_again() -> None:
    state = knowing(student(), section("A"))
    said(state, opened(1, "A"), cancelled(1, "A"))

    again = said(state, opened(1, "A"))

    assert again == []
    assert claim_of(state, 1).state is ClaimState.RELEASED


@pytest.mark.parametrize("end", [rejected(1), rejected(1, "A"), cancelled(1, "A")])
def test_a_claim_is_given_back_once(end: Event) -> None:
    state = knowing(student(), section("A"))
    said(state, opened(1, "A"))

    events = said(state, end, end)

    assert [type(event) for event in events] == [StudentClaimReleased]


def test_a_refused_enrollment_has_nothing_to_give_back() -> None:
    state = knowing(student(max_credits=0), section("A"))
    said(state, opened(1, "A"))

    events = said(state, rejected(1, "A"))

    assert events == []
    assert claim_of(state, 1).state is ClaimState.RELEASED


def test_the_end_of_another_students_enrollment_changes_nothing() -> None:
    state = knowing(student(), section("A"))
    said(state, opened(1, "A"))

    events = said(state, cancelled(1, "A", student_id="S2"))

    assert events == []
    assert claim_of(state, 1).state is ClaimState.CLAIMED


# Who may ask, and for what.


def test_an_unknown_student_is_refused() -> None:
    state = knowing(section("A"))

    events = said(state, opened(1, "A"))

    assert codes(events) == [(ReasonCode.UNKNOWN_STUDENT, None)]


def test_a_student_deleted_from_the_catalog_is_unknown() -> None:
    state = knowing(student(), section("A"))

    events = said(state, StudentWithdrawn(student_id=StudentId("S1")), opened(1, "A"))

    assert codes(events) == [(ReasonCode.UNKNOWN_STUDENT, None)]


def test_only_a_newer_version_brings_a_deleted_student_back() -> None:
    state = knowing(student(), section("A"))
    said(state, StudentWithdrawn(student_id=StudentId("S1")), student(version=1))

    still_unknown = said(state, opened(1, "A"))
    known_again = said(state, student(version=2), opened(2, "A"))

    assert codes(still_unknown) == [(ReasonCode.UNKNOWN_STUDENT, None)]
    assert is_validated(known_again)


def test_unknown_sections_are_named_in_the_order_of_the_request() -> None:
    state = knowing(student(), section("A"))

    events = said(state, opened(1, "Z", "A", "Y"))

    assert codes(events) == [
        (ReasonCode.UNKNOWN_SECTION, "Z"),
        (ReasonCode.UNKNOWN_SECTION, "Y"),
    ]


def test_a_section_of_another_term_is_unknown() -> None:
    state = knowing(student(), section("A", term=NEXT_TERM))

    events = said(state, opened(1, "A"))

    assert codes(events) == [(ReasonCode.UNKNOWN_SECTION, "A")]


def test_a_cancelled_section_is_left_to_capacity_to_refuse() -> None:
    state = knowing(student(), section("A"))

    events = said(state, withdrawn("A"), opened(1, "A"))

    assert is_validated(events)


def test_a_section_is_held_once_whatever_its_times() -> None:
    state = knowing(student(), section("A"))
    said(state, opened(1, "A"))

    events = said(state, opened(2, "A"))

    assert codes(events) == [(ReasonCode.ALREADY_ENROLLED, "A")]


def test_a_section_that_is_held_is_not_called_a_clash_with_itself() -> None:
    state = knowing(student(), section("A", meeting(480, 540)))
    said(state, opened(1, "A"))

    events = said(state, opened(2, "A"))

    assert codes(events) == [(ReasonCode.ALREADY_ENROLLED, "A")]


def test_a_section_that_is_held_is_not_counted_twice_against_the_limit() -> None:
    state = knowing(student(max_credits=3), section("A", worth=3))
    said(state, opened(1, "A"))

    events = said(state, opened(2, "A"))

    assert codes(events) == [(ReasonCode.ALREADY_ENROLLED, "A")]


def test_another_student_may_hold_the_same_section() -> None:
    state = knowing(student("S1"), student("S2"), section("A", meeting(480, 540)))
    said(state, opened(1, "A"))

    events = said(state, opened(2, "A", student_id="S2"))

    assert is_validated(events)


def test_every_reason_is_given_at_once() -> None:
    state = knowing(
        student(max_credits=5),
        section("held", meeting(480, 540), worth=3),
        section("clash", meeting(480, 540), worth=3),
    )
    said(state, opened(1, "held"))

    events = said(state, opened(2, "clash", "unknown", "held"))

    assert codes(events) == [
        (ReasonCode.UNKNOWN_SECTION, "unknown"),
        (ReasonCode.ALREADY_ENROLLED, "held"),
        (ReasonCode.TIME_CONFLICT, "clash"),
        (ReasonCode.CREDIT_LIMIT, None),
    ]


# Credits.


@pytest.mark.parametrize(("limit", "is_enough"), [(9, False), (10, True)])
def test_credits_up_to_the_limit_are_fine(limit: int, is_enough: bool) -> None:
    state = knowing(student(max_credits=limit), section("A", worth=4), section("B", worth=6))
    said(state, opened(1, "A"))

    events = said(state, opened(2, "B"))

    assert is_validated(events) is is_enough
    if not is_enough:
        assert codes(events) == [(ReasonCode.CREDIT_LIMIT, None)]


def test_the_limit_counts_the_sections_of_one_request_together() -> None:
    state = knowing(student(max_credits=9), section("A", worth=4), section("B", worth=6))

    events = said(state, opened(1, "A", "B"))

    assert codes(events) == [(ReasonCode.CREDIT_LIMIT, None)]


def test_credits_and_times_count_for_each_term_alone() -> None:
    state = knowing(
        student(max_credits=3),
        section("A", meeting(480, 540)),
        section("A", meeting(480, 540), term=NEXT_TERM),
    )
    said(state, opened(1, "A"))

    events = said(state, opened(2, "A", term=NEXT_TERM))

    assert is_validated(events)


def test_a_section_without_credits_fits_a_full_term() -> None:
    state = knowing(student(max_credits=3), section("A"), section("B", worth=0))
    said(state, opened(1, "A"))

    events = said(state, opened(2, "B"))

    assert is_validated(events)


# Times.

CLASHES = [
    pytest.param(meeting(480, 540), meeting(480, 540), id="the same time"),
    pytest.param(meeting(480, 540), meeting(539, 600), id="one minute in common"),
    pytest.param(meeting(480, 600), meeting(500, 520), id="one inside the other"),
    pytest.param(meeting(480, 540), meeting(480, 540, days="1100000"), id="one day in common"),
    pytest.param(
        meeting(480, 540, weeks="0110"), meeting(480, 540, weeks="0011"), id="one week in common"
    ),
    pytest.param(
        meeting(480, 540, weeks="01"),
        meeting(480, 540, weeks="0111"),
        id="weeks of unequal length line up at their beginning",
    ),
]
NO_CLASHES = [
    pytest.param(meeting(480, 540), meeting(540, 600), id="back to back"),
    pytest.param(meeting(480, 540), meeting(480, 540, days=TUESDAY), id="another day"),
    pytest.param(
        meeting(480, 540, weeks="1010"), meeting(480, 540, weeks="0101"), id="other weeks"
    ),
    pytest.param(
        meeting(480, 540, weeks="01"),
        meeting(480, 540, weeks="1011"),
        id="weeks of unequal length that share none",
    ),
    pytest.param(
        meeting(480, 540, weeks="0000"), meeting(480, 540, weeks="1111"), id="no week at all"
    ),
]


@pytest.mark.parametrize(("one", "other"), CLASHES)
def test_two_sections_of_a_request_may_not_share_a_minute(one: Meeting, other: Meeting) -> None:
    state = knowing(student(), section("A", one), section("B", other))

    forwards = said(state, opened(1, "A", "B"))
    backwards = said(state, opened(2, "B", "A"))

    assert codes(forwards) == [(ReasonCode.TIME_CONFLICT, "B")]
    assert codes(backwards) == [(ReasonCode.TIME_CONFLICT, "A")]


@pytest.mark.parametrize(("one", "other"), CLASHES)
def test_a_section_may_not_share_a_minute_with_a_claim(one: Meeting, other: Meeting) -> None:
    state = knowing(student(), section("A", one), section("B", other))
    said(state, opened(1, "A"))

    events = said(state, opened(2, "B"))

    assert codes(events) == [(ReasonCode.TIME_CONFLICT, "B")]


@pytest.mark.parametrize(("one", "other"), NO_CLASHES)
def test_sections_that_share_no_minute_go_together(one: Meeting, other: Meeting) -> None:
    state = knowing(student("S1"), student("S2"), section("A", one), section("B", other))

    together = said(state, opened(1, "B", "A"))
    first = said(state, opened(2, "A", student_id="S2"))
    second = said(state, opened(3, "B", student_id="S2"))

    assert is_validated(together)
    assert is_validated(first)
    assert is_validated(second)


def test_a_clash_of_any_of_the_meetings_counts_once() -> None:
    state = knowing(
        student(),
        section("A", meeting(480, 540), meeting(600, 660)),
        section("B", meeting(300, 360), meeting(500, 520), meeting(610, 620)),
    )
    said(state, opened(1, "A"))

    events = said(state, opened(2, "B"))

    assert codes(events) == [(ReasonCode.TIME_CONFLICT, "B")]


def test_a_section_may_meet_twice_at_the_same_time() -> None:
    state = knowing(student(), section("A", meeting(480, 540), meeting(480, 540)))

    events = said(state, opened(1, "A"))

    assert is_validated(events)


def test_the_reason_names_the_other_section() -> None:
    state = knowing(student(), section("A", meeting(480, 540)), section("B", meeting(480, 540)))

    (event,) = said(state, opened(1, "A", "B"))

    assert isinstance(event, StudentRejected)
    assert event.reasons[0].detail == "Section B meets at the same time as section A."


# The catalogs: the highest version counts.


@pytest.mark.parametrize("version", [6, 7])
def test_an_equal_or_lower_version_of_a_section_is_ignored(version: int) -> None:
    state = knowing(student(max_credits=3), section("A", worth=9, version=7))

    events = said(state, section("A", worth=1, version=version), opened(1, "A"))

    assert codes(events) == [(ReasonCode.CREDIT_LIMIT, None)]


@pytest.mark.parametrize("version", [6, 7])
def test_an_equal_or_lower_version_of_a_student_is_ignored(version: int) -> None:
    state = knowing(student(max_credits=1, version=7), section("A"))

    events = said(state, student(max_credits=9, version=version), opened(1, "A"))

    assert codes(events) == [(ReasonCode.CREDIT_LIMIT, None)]


def test_tombstones_of_what_is_unknown_are_nothing() -> None:
    state = fresh()

    events = said(state, withdrawn("A"), StudentWithdrawn(student_id=StudentId("S1")))

    assert events == []
    assert state.sections.changed() == []
    assert state.students.changed() == []
