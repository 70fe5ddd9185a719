"""The rules of eligibility: pure functions of what is known, an event, and the time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, assert_never

from services.student.model import Claim, ClaimState, Section, Slot, Student, slots_of
from shared.events import (
    EnrollmentCancelled,
    EnrollmentOpened,
    EnrollmentRejected,
    Event,
    Reason,
    ReasonCode,
    SectionPublished,
    StudentClaimReleased,
    StudentPublished,
    StudentRejected,
    StudentValidated,
)
from shared.identifiers import SectionId


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be kept and said; an empty one changes nothing."""

    claim: Claim | None = None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that a rule may look at: who asks for what, and what she holds already."""

    event: EnrollmentOpened
    student: Student | None
    sections: Mapping[SectionId, Section]
    held: Sequence[Claim]

    def known(self) -> Iterator[tuple[SectionId, SectionPublished]]:
        """Give the requested sections that the catalog has, in the order of the request."""
        for section_id in self.event.sections:
            if section_id in self.sections:
                yield section_id, self.sections[section_id].published

    def held_sections(self) -> set[SectionId]:
        """Give the sections of this term that the student holds already."""
        return {section_id for claim in self.held for section_id in claim.sections}


Rule = Callable[[Request], Iterator[Reason]]


def known_student(request: Request) -> Iterator[Reason]:
    """The student must be in the catalog."""
    if request.student is None or request.student.is_withdrawn:
        yield Reason(
            code=ReasonCode.UNKNOWN_STUDENT,
            detail=f"Student {request.event.student_id} is not in the student catalog.",
        )


def known_sections(request: Request) -> Iterator[Reason]:
    """Every section must be in the catalog of the term; whether it is open, capacity says."""
    for section_id in request.event.sections:
        if section_id not in request.sections:
            yield Reason(
                code=ReasonCode.UNKNOWN_SECTION,
                section_id=section_id,
                detail=f"Section {section_id} is not in this term's catalog.",
            )


def not_enrolled_already(request: Request) -> Iterator[Reason]:
    """A student has at most one pending or confirmed enrollment in a section."""
    held = request.held_sections()
    for section_id in request.event.sections:
        if section_id in held:
            yield Reason(
                code=ReasonCode.ALREADY_ENROLLED,
                section_id=section_id,
                detail=f"You already have section {section_id}, or a request for it is pending.",
            )


def no_time_conflict(request: Request) -> Iterator[Reason]:
    """No section may meet while another of the request, or one held, does; one reason each."""
    held = request.held_sections()
    taken = [slot for claim in request.held for slot in claim.slots]
    for section_id, published in request.known():
        if section_id in held:
            continue  # it would only clash with itself
        slots = slots_of(section_id, published.meetings)
        other = _first_clash(slots, taken)
        if other is not None:
            yield Reason(
                code=ReasonCode.TIME_CONFLICT,
                section_id=section_id,
                detail=f"Section {section_id} meets at the same time as section {other}.",
            )
        taken.extend(slots)


def _first_clash(slots: Sequence[Slot], taken: Sequence[Slot]) -> SectionId | None:
    for slot in slots:
        for other in taken:
            if slot.clashes_with(other):
                return other.section_id
    return None


def within_credit_limit(request: Request) -> Iterator[Reason]:
    """Credits claimed in the term and asked for must not exceed the student's limit."""
    if request.student is None:
        return
    held = request.held_sections()
    claimed = sum(claim.credits for claim in request.held)
    asked = sum(published.credits for s, published in request.known() if s not in held)
    limit = request.student.published.max_credits
    if claimed + asked > limit:
        yield Reason(
            code=ReasonCode.CREDIT_LIMIT,
            detail=f"You have {claimed} credits this term and ask for {asked} more; "
            f"your limit is {limit}.",
        )


RULES: Final[tuple[Rule, ...]] = (
    known_student,
    known_sections,
    not_enrolled_already,
    no_time_conflict,
    within_credit_limit,
)


def claim(known: Claim | None, request: Request, now: datetime) -> Decision:
    """Claim the credits and slots of every section, or say every reason why not.

    An enrollment that is known, released before it was opened included, changes nothing.
    """
    if known is not None:
        return Decision()
    reasons = tuple(reason for rule in RULES for reason in rule(request))
    if reasons or request.student is None:
        return _refuse(request, reasons, now)
    event = request.event
    made = Claim(
        enrollment_id=event.enrollment_id,
        student_id=event.student_id,
        state=ClaimState.CLAIMED,
        term=event.term,
        sections=event.sections,
        decided_at=now,
        credits=sum(published.credits for _, published in request.known()),
        credit_limit=request.student.published.max_credits,
        slots=tuple(
            slot for s, published in request.known() for slot in slots_of(s, published.meetings)
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


def _refuse(request: Request, reasons: tuple[Reason, ...], now: datetime) -> Decision:
    event = request.event
    refused = Claim(
        enrollment_id=event.enrollment_id,
        student_id=event.student_id,
        state=ClaimState.REFUSED,
        term=event.term,
        sections=event.sections,
        decided_at=now,
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
