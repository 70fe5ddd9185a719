"""What a decision keeps, field by field: the times too."""

from datetime import timedelta

import pytest

from services.student import decisions
from services.student.model import Claim, ClaimState
from services.student.rules import Request
from services.student.tests.making import (
    NOW,
    TERM,
    cancelled,
    enrollment,
    opened,
    rejected,
    section,
    student,
)
from shared.events import EnrollmentCancelled, EnrollmentRejected
from shared.identifiers import SectionId, StudentId

LATER = NOW + timedelta(seconds=60)
A = SectionId("A")


def asking(max_credits: int) -> Request:
    return Request(opened(1, "A"), student(max_credits=max_credits), {A: section("A")}, [], NOW)


def row(state: ClaimState, **more: object) -> Claim:
    fields = {
        "enrollment_id": enrollment(1),
        "student_id": StudentId("S1"),
        "state": state,
        "term": TERM,
        "sections": (A,),
        "decided_at": NOW,
    }
    return Claim(**fields | more)  # type: ignore[arg-type]  # a field that is wrong fails the test


def test_a_claim_keeps_its_time_its_credits_and_their_limit() -> None:
    decision = decisions.claim(None, asking(max_credits=9))

    assert decision.claim == row(ClaimState.CLAIMED, credits=3, credit_limit=9)


def test_a_refusal_keeps_what_was_asked_for_and_its_time() -> None:
    decision = decisions.claim(None, asking(max_credits=0))

    assert decision.claim == row(ClaimState.REFUSED)


@pytest.mark.parametrize("end", [rejected(1, "A"), cancelled(1, "A")])
def test_an_end_before_the_opening_keeps_what_it_names(
    end: EnrollmentRejected | EnrollmentCancelled,
) -> None:
    decision = decisions.release(None, end, LATER)

    assert decision.claim == row(ClaimState.RELEASED, decided_at=LATER, released_at=LATER)


def test_an_end_that_names_no_section_keeps_none() -> None:
    decision = decisions.release(None, rejected(1), LATER)

    assert decision.claim == row(
        ClaimState.RELEASED, term=None, sections=(), decided_at=LATER, released_at=LATER
    )


@pytest.mark.parametrize("max_credits", [0, 9])
def test_a_release_keeps_both_times(max_credits: int) -> None:
    known = decisions.claim(None, asking(max_credits)).claim
    assert known is not None

    decision = decisions.release(known, cancelled(1, "A"), LATER)

    kept = {"credits": known.credits, "credit_limit": known.credit_limit}
    assert decision.claim == row(ClaimState.RELEASED, released_at=LATER, **kept)
