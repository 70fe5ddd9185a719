"""One fault for each registration rule: it breaks that rule and no other, alone or with others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import combinations
from typing import Any

from services.student.tests.making import MONDAY, NOW, TERM, meeting, section
from shared.events import ReasonCode, SectionPublished
from shared.identifiers import Term

LIMIT = 18


@dataclass(frozen=True)
class Fault:
    """What is held before, what is asked for then, and what the student has become by then."""

    asked: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    student: Mapping[str, Any] = field(default_factory=dict)
    needs_student: bool = False  # of one who is unknown, this rule can say nothing
    names: str | None = None  # the section that the reason names


CLOSED = {"opens_at": NOW - timedelta(days=9), "closes_at": NOW - timedelta(days=8)}

# In the order in which the reasons are given.
FAULTS = {
    ReasonCode.UNKNOWN_STUDENT: Fault(),
    ReasonCode.UNKNOWN_SECTION: Fault(asked=("nowhere",), names="nowhere"),
    ReasonCode.STUDENT_HOLD: Fault(student={"holds": [{"code": "fees"}]}, needs_student=True),
    ReasonCode.OUTSIDE_WINDOW: Fault(student={"windows": [CLOSED]}, needs_student=True),
    ReasonCode.ALREADY_ENROLLED: Fault(asked=("twice",), held=("twice",), names="twice"),
    ReasonCode.SAME_COURSE_PART: Fault(asked=("part-2",), held=("part-1",), names="part-2"),
    ReasonCode.PREREQUISITE: Fault(asked=("advanced",), needs_student=True, names="advanced"),
    ReasonCode.COREQUISITE: Fault(asked=("lab",), needs_student=True, names="lab"),
    ReasonCode.TIME_CONFLICT: Fault(asked=("early-2",), held=("early-1",), names="early-2"),
    ReasonCode.CREDIT_LIMIT: Fault(asked=("heavy",), needs_student=True),
}


def catalog(term: Term = TERM) -> list[SectionPublished]:
    """Give the sections of every fault, and one that nothing is wrong with."""
    early = meeting(480, 540, days=MONDAY)
    return [
        section("fine", worth=0, term=term),
        section("twice", worth=0, term=term),
        section("part-1", worth=0, term=term, course_id="parted", part="lecture"),
        section("part-2", worth=0, term=term, course_id="parted", part="lecture"),
        section("advanced", worth=0, term=term, prerequisites=[["basics", "test"]]),
        section("lab", worth=0, term=term, corequisites=["theory"]),
        section("early-1", early, worth=0, term=term),
        section("early-2", early, worth=0, term=term),
        section("heavy", worth=LIMIT + 1, term=term),
    ]


def pairs() -> list[tuple[ReasonCode, ReasonCode]]:
    """Give every two reasons that one request can meet with."""
    unsaid = [code for code, fault in FAULTS.items() if fault.needs_student]
    return [
        (one, other)
        for one, other in combinations(FAULTS, 2)
        if not (one is ReasonCode.UNKNOWN_STUDENT and other in unsaid)
    ]


def together(codes: Iterable[ReasonCode], term: Term = TERM) -> Fault:
    """Put the faults of these reasons into one request."""
    faults = [FAULTS[code] for code in codes]
    student: dict[str, Any] = {}
    for fault in faults:
        student |= fault.student
    if "windows" in student:
        student["windows"] = [{**CLOSED, "term": term}]
    return Fault(
        asked=("fine", *(one for fault in faults for one in fault.asked)),
        held=tuple(one for fault in faults for one in fault.held),
        student=student,
    )


def expected(codes: Iterable[ReasonCode]) -> list[tuple[ReasonCode, str | None]]:
    """Give the reasons in the order in which they must come."""
    wanted = set(codes)
    return [(code, fault.names) for code, fault in FAULTS.items() if code in wanted]
