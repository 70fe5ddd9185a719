"""Claims and catalogs, one by one."""

import pytest

from services.student.model import ClaimState, slots_of
from services.student.tests.making import (
    TERM,
    TUESDAY,
    cancelled,
    claim_of,
    codes,
    enrollment,
    fresh,
    is_validated,
    knowing,
    meeting,
    opened,
    rejected,
    said,
    section,
    student,
    withdrawn,
)
from shared.events import (
    Event,
    ReasonCode,
    StudentClaimReleased,
    StudentValidated,
    StudentWithdrawn,
)
from shared.identifiers import SectionId, StudentId

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
