"""What a decision keeps, field by field: the times too."""

from datetime import timedelta

import pytest

from services.capacity import decisions
from services.capacity.model import Reservation, ReservationState, Section
from services.capacity.tests.test_decisions import (
    NOW,
    TERM,
    cancelled,
    enrollment,
    rejected,
    validated,
)
from shared.events import EnrollmentCancelled, EnrollmentRejected, SectionState
from shared.identifiers import SectionId, SectionKey, StudentId

LATER = NOW + timedelta(seconds=60)
A = SectionId("A")
OPEN = {A: Section(SectionKey(TERM, A), 1, 1, SectionState.OPEN)}


def row(state: ReservationState, **more: object) -> Reservation:
    fields = {
        "enrollment_id": enrollment(1),
        "student_id": StudentId("S1"),
        "state": state,
        "is_answered": True,
        "term": TERM,
        "sections": (A,),
        "decided_at": NOW,
    }
    return Reservation(**fields | more)  # type: ignore[arg-type]  # what is wrong fails the test


RESERVED, REFUSED = row(ReservationState.RESERVED), row(ReservationState.REFUSED)


def test_a_reservation_keeps_its_time() -> None:
    assert decisions.reserve(None, OPEN, validated(1, "A"), NOW).reservation == RESERVED


def test_a_refusal_keeps_its_time() -> None:
    assert decisions.reserve(None, {}, validated(1, "A"), NOW).reservation == REFUSED


@pytest.mark.parametrize("end", [rejected(1, "A"), cancelled(1, "A")])
def test_an_end_before_the_question_keeps_what_it_names(
    end: EnrollmentRejected | EnrollmentCancelled,
) -> None:
    decision = decisions.release(None, OPEN, end, NOW)

    mark = {"is_answered": False, "released_at": NOW}
    assert decision.reservation == row(ReservationState.RELEASED, **mark)


def test_an_end_that_names_no_section_keeps_none() -> None:
    decision = decisions.release(None, OPEN, rejected(1), NOW)

    mark = {"is_answered": False, "released_at": NOW, "term": None, "sections": ()}
    assert decision.reservation == row(ReservationState.RELEASED, **mark)


def test_an_answer_after_the_end_keeps_when_it_ended_and_when_it_was_answered() -> None:
    mark = decisions.release(None, OPEN, rejected(1, "A"), NOW).reservation

    decision = decisions.reserve(mark, OPEN, validated(1, "A"), LATER)

    times = {"decided_at": LATER, "released_at": NOW}
    assert decision.reservation == row(ReservationState.RELEASED, **times)


@pytest.mark.parametrize("known", [RESERVED, REFUSED])
def test_a_release_keeps_both_times(known: Reservation) -> None:
    taken = decisions.reserve(None, OPEN, validated(1, "A"), NOW).sections
    sections = {section.key.section_id: section for section in taken}

    decision = decisions.release(known, sections, cancelled(1, "A"), LATER)

    assert decision.reservation == row(ReservationState.RELEASED, released_at=LATER)
