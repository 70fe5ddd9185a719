"""The decisions about claims: pure functions of what is known, an event, and the time."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from services.student.model import Claim, ClaimState, Section, Student, slots_of
from services.student.rules import Request, reasons_against
from shared.events import (
    EnrollmentCancelled,
    EnrollmentRejected,
    Event,
    Reason,
    SectionPublished,
    StudentClaimReleased,
    StudentPublished,
    StudentRejected,
    StudentValidated,
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be kept and said; an empty one changes nothing."""

    claim: Claim | None = None
    events: tuple[Event, ...] = ()


def claim(known: Claim | None, request: Request) -> Decision:
    """Claim the credits and slots of every section, or say every reason why not.

    An enrollment that is known, released before it was opened included, changes nothing.
    """
    if known is not None:
        return Decision()
    reasons = reasons_against(request)
    if reasons or request.student is None:
        return _refuse(request, reasons)
    event = request.event
    made = Claim(
        enrollment_id=event.enrollment_id,
        student_id=event.student_id,
        state=ClaimState.CLAIMED,
        term=event.term,
        sections=event.sections,
        decided_at=request.now,
        credits=sum(section.credits for section in request.known()),
        credit_limit=request.student.max_credits,
        slots=tuple(
            slot
            for section in request.known()
            for slot in slots_of(section.section_id, section.meetings)
        ),
    )
    validated = StudentValidated(
        enrollment_id=event.enrollment_id,
        student_id=event.student_id,
        term=event.term,
        sections=event.sections,
        credits=made.credits,
    )
    return Decision(made, (validated,))


def _refuse(request: Request, reasons: tuple[Reason, ...]) -> Decision:
    event = request.event
    refused = Claim(
        enrollment_id=event.enrollment_id,
        student_id=event.student_id,
        state=ClaimState.REFUSED,
        term=event.term,
        sections=event.sections,
        decided_at=request.now,
    )
    rejected = StudentRejected(
        enrollment_id=event.enrollment_id,
        student_id=event.student_id,
        term=event.term,
        sections=event.sections,
        reasons=reasons,
    )
    return Decision(refused, (rejected,))


def release(
    known: Claim | None, event: EnrollmentRejected | EnrollmentCancelled, now: datetime
) -> Decision:
    """Mark the enrollment released, and give back exactly what it claimed."""
    if known is None:
        mark = Claim(
            enrollment_id=event.enrollment_id,
            student_id=event.student_id,
            state=ClaimState.RELEASED,
            term=event.term,
            sections=event.sections or (),
            decided_at=now,
            released_at=now,
        )
        return Decision(mark)
    if known.student_id != event.student_id:
        return Decision()
    released = replace(known, state=ClaimState.RELEASED, released_at=now)
    match known.state:
        case ClaimState.RELEASED:
            return Decision()
        case ClaimState.REFUSED:
            return Decision(released)
        case ClaimState.CLAIMED:
            return Decision(released, (_claim_released(known),))
        case unreachable:
            assert_never(unreachable)


def _claim_released(held: Claim) -> StudentClaimReleased:
    assert held.term is not None
    return StudentClaimReleased(
        enrollment_id=held.enrollment_id,
        student_id=held.student_id,
        term=held.term,
        sections=held.sections,
        credits=held.credits,
    )


def publish_section(known: Section | None, event: SectionPublished) -> Section | None:
    """Take over a newer version of a section; None where it is not newer."""
    if known is not None and event.version <= known.published.version:
        return None
    return Section(event)


def publish_student(known: Student | None, event: StudentPublished) -> Student | None:
    """Take over a newer version of a student; None where it is not newer."""
    if known is not None and event.version <= known.published.version:
        return None
    return Student(event)
