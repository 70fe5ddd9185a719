"""Student's reactions: take rows out of the batch's state, decide, put the changed ones back."""

from collections.abc import Sequence
from dataclasses import replace

from services.student import decisions
from services.student.decisions import Decision
from services.student.model import Claim, State
from services.student.rules import Request
from shared.events import (
    EnrollmentCancelled,
    EnrollmentOpened,
    EnrollmentRejected,
    SectionPublished,
    SectionWithdrawn,
    StudentPublished,
    StudentWithdrawn,
)
from shared.identifiers import SectionId, SectionKey
from shared.message import Emitted
from shared.reaction import Context, Reactions


def on_enrollment_opened(
    state: State, event: EnrollmentOpened, context: Context
) -> Sequence[Emitted]:
    """Claim credits and slots, or say every reason why not."""
    student = state.students.get(event.student_id)
    held = state.held_claims(event.student_id, event.term)
    request = Request(
        event=event,
        student=None if student is None or student.is_withdrawn else student.published,
        sections=_sections(state, event, held),
        held=held,
        now=context.now,
    )
    known = state.claims.get(event.enrollment_id)
    return _keep(state, decisions.claim(known, request), context)


def on_enrollment_ended(
    state: State, event: EnrollmentRejected | EnrollmentCancelled, context: Context
) -> Sequence[Emitted]:
    """Give back what the enrollment claimed, and remember that it has ended."""
    known = state.claims.get(event.enrollment_id)
    return _keep(state, decisions.release(known, event, context.now), context)


def on_section_published(
    state: State, event: SectionPublished, _context: Context
) -> Sequence[Emitted]:
    """Keep a newer version of a section."""
    newer = decisions.publish_section(state.sections.get(event.key), event)
    if newer is not None:
        state.sections.put(event.key, newer)
    return ()


def on_section_withdrawn(
    state: State, event: SectionWithdrawn, _context: Context
) -> Sequence[Emitted]:
    """Note that a section was deleted from the catalog; capacity refuses its seats."""
    known = state.sections.get(event.key)
    if known is not None:
        state.sections.put(event.key, replace(known, is_withdrawn=True))
    return ()


def on_student_published(
    state: State, event: StudentPublished, _context: Context
) -> Sequence[Emitted]:
    """Keep a newer version of a student."""
    newer = decisions.publish_student(state.students.get(event.student_id), event)
    if newer is not None:
        state.students.put(event.student_id, newer)
    return ()


def on_student_withdrawn(
    state: State, event: StudentWithdrawn, _context: Context
) -> Sequence[Emitted]:
    """Treat a student who was deleted from the catalog as unknown from now on."""
    known = state.students.get(event.student_id)
    if known is not None:
        state.students.put(event.student_id, replace(known, is_withdrawn=True))
    return ()


def _sections(
    state: State, event: EnrollmentOpened, held: Sequence[Claim]
) -> dict[SectionId, SectionPublished]:
    wanted = {*event.sections, *(section_id for claim in held for section_id in claim.sections)}
    found = {s: state.sections.get(SectionKey(event.term, s)) for s in wanted}
    return {s: section.published for s, section in found.items() if section is not None}


def _keep(state: State, decision: Decision, context: Context) -> list[Emitted]:
    if decision.claim is not None:
        state.put_claim(decision.claim)
    return context.emit(decision.events)


REACTIONS: Reactions[State] = {
    EnrollmentOpened: on_enrollment_opened,
    EnrollmentRejected: on_enrollment_ended,
    EnrollmentCancelled: on_enrollment_ended,
    SectionPublished: on_section_published,
    SectionWithdrawn: on_section_withdrawn,
    StudentPublished: on_student_published,
    StudentWithdrawn: on_student_withdrawn,
}
