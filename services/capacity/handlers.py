"""Capacity's reactions: take rows out of the batch's state, decide, put the changed ones back."""

from collections.abc import Sequence

from services.capacity import decisions
from services.capacity.decisions import Decision
from services.capacity.model import Section, State
from shared.events import (
    EnrollmentCancelled,
    EnrollmentRejected,
    SectionPublished,
    SectionWithdrawn,
    StudentValidated,
)
from shared.identifiers import SectionId, SectionKey, Term
from shared.message import Emitted
from shared.reaction import Context, Reactions


def on_student_validated(
    state: State, event: StudentValidated, context: Context
) -> Sequence[Emitted]:
    """Reserve all of the seats or none."""
    reservation = state.reservations.get(event.enrollment_id)
    sections = _sections(state, event.term, event.sections)
    return _keep(state, decisions.reserve(reservation, sections, event, context.now), context)


def on_enrollment_ended(
    state: State, event: EnrollmentRejected | EnrollmentCancelled, context: Context
) -> Sequence[Emitted]:
    """Give back what the enrollment holds, and remember that it has ended."""
    reservation = state.reservations.get(event.enrollment_id)
    sections = (
        _sections(state, reservation.term, reservation.sections)
        if reservation is not None and reservation.term is not None
        else {}
    )
    return _keep(state, decisions.release(reservation, sections, event, context.now), context)


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
    """Cancel a section that was deleted from the catalog."""
    withdrawn = decisions.withdraw_section(state.sections.get(event.key))
    if withdrawn is not None:
        state.sections.put(event.key, withdrawn)
    return ()


def _sections(
    state: State, term: Term, section_ids: Sequence[SectionId]
) -> dict[SectionId, Section]:
    found = {s: state.sections.get(SectionKey(term, s)) for s in section_ids}
    return {section_id: section for section_id, section in found.items() if section is not None}


def _keep(state: State, decision: Decision, context: Context) -> list[Emitted]:
    if decision.reservation is not None:
        state.reservations.put(decision.reservation.enrollment_id, decision.reservation)
    for section in decision.sections:
        state.sections.put(section.key, section)
    return context.emit(decision.events)


REACTIONS: Reactions[State] = {
    StudentValidated: on_student_validated,
    EnrollmentRejected: on_enrollment_ended,
    EnrollmentCancelled: on_enrollment_ended,
    SectionPublished: on_section_published,
    SectionWithdrawn: on_section_withdrawn,
}
