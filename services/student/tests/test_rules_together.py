"""The registration rules all at once: every reason is told, as far as a message has room."""

from typing import Any

import pytest

from services.student.tests import faults
from services.student.tests.making import (
    codes,
    is_validated,
    knowing,
    meeting,
    opened,
    said,
    section,
    student,
    window,
)
from shared.codec import BODY_BYTES_MAX, encode_body
from shared.events import (
    EnrollmentRejected,
    Event,
    ReasonCode,
    Stage,
    StudentRejected,
    StudentWithdrawn,
)
from shared.identifiers import StudentId

# As many reasons as there is room for.


def test_of_many_courses_a_sentence_names_the_first() -> None:
    advanced = section("A", prerequisites=[[f"M{number}" for number in range(9)]])
    state = knowing(student(), advanced)

    (event,) = said(state, opened(1, "A"))

    assert isinstance(event, StudentRejected)
    assert "M0 or M1 or M2 or M3 or M4 or one of 4 more." in event.reasons[0].detail


def test_the_outcome_of_the_worst_request_of_all_still_fits_a_message() -> None:
    names = [f"{number:02}".ljust(64, "x") for number in range(50)]
    worst: dict[str, Any] = {"part": "\x01" * 64, "course_id": "C" * 64, "corequisites": names}
    sections = [
        section(name, meeting(0, 9), worth=9, prerequisites=[names] * 50, **worst) for name in names
    ]
    holds = [{"code": "\x01" * 63 + chr(64 + number)} for number in range(50)]
    far = [window(9 + number, 10 + number) for number in range(50)]
    state = knowing(student(max_credits=0, holds=holds, windows=far), *sections)

    (event,) = said(state, opened(1, *names))

    assert isinstance(event, StudentRejected)
    outcome = EnrollmentRejected(**event.model_dump(), stage=Stage.ELIGIBILITY)
    assert len(event.reasons) > 50
    assert max(len(encode_body(one)) for one in (event, outcome)) <= BODY_BYTES_MAX


# All rules at once.


def troubled(*reasons: ReasonCode) -> list[Event]:
    """Ask for something that is wrong in all of these ways, after what is held was claimed."""
    fault = faults.together(reasons)
    state = knowing(student(max_credits=faults.LIMIT), *faults.catalog())
    if fault.held:
        assert is_validated(said(state, opened(1, *fault.held)))
    if ReasonCode.UNKNOWN_STUDENT in reasons:
        said(state, StudentWithdrawn(student_id=StudentId("S1")))
    else:
        said(state, student(max_credits=faults.LIMIT, version=2, **fault.student))
    return said(state, opened(2, *fault.asked))


def test_there_is_a_fault_for_every_reason_that_a_rule_gives() -> None:
    capacitys = {ReasonCode.SECTION_FULL, ReasonCode.SECTION_CLOSED, ReasonCode.SECTION_CANCELLED}
    enrollments = {ReasonCode.DEADLINE, ReasonCode.BAD_REQUEST}

    assert set(faults.FAULTS) == (
        set(ReasonCode) - capacitys - enrollments - {ReasonCode.ALREADY_RELEASED}
    )


def test_without_a_fault_the_same_request_is_fine() -> None:
    assert is_validated(troubled())


@pytest.mark.parametrize("one", faults.FAULTS)
def test_each_rule_is_broken_alone(one: ReasonCode) -> None:
    assert codes(troubled(one)) == faults.expected([one])


@pytest.mark.parametrize("two", faults.pairs(), ids="-".join)
def test_every_two_rules_are_told_at_once(two: tuple[ReasonCode, ReasonCode]) -> None:
    assert codes(troubled(*two)) == faults.expected(two)


def test_all_rules_are_told_at_once() -> None:
    everything = [code for code in faults.FAULTS if code is not ReasonCode.UNKNOWN_STUDENT]

    assert codes(troubled(*everything)) == faults.expected(everything)
