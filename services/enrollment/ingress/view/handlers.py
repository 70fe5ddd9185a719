"""The view's reactions: take rows out of the batch's state, and put the changed ones back."""

from collections.abc import Iterable

from services.enrollment.ingress.view import decisions
from services.enrollment.ingress.view.model import State, ViewedEnrollment, ViewedSection
from shared.events import (
    EnrollmentCancellationRequested,
    EnrollmentCancelled,
    EnrollmentConfirmed,
    EnrollmentOpened,
    EnrollmentRejected,
    EnrollmentRequested,
    MalformedRequest,
    SeatReleased,
    SeatReserved,
    SeatUnavailable,
    SectionPublished,
    SectionWithdrawn,
    StudentClaimReleased,
    StudentRejected,
    StudentValidated,
)
from shared.identifiers import SectionKey
from shared.reaction import Context, Reactions

Nothing = tuple[()]


def on_enrollment_requested(
    state: State, event: EnrollmentRequested | MalformedRequest, context: Context
) -> Nothing:
    """Show a request that nobody has decided yet."""
    known = state.enrollments.get(event.enrollment_id)
    return _keep(state, known, decisions.request(known, event, context.occurred_at))


def on_enrollment_cancellation_requested(
    _state: State, _event: EnrollmentCancellationRequested, _context: Context
) -> Nothing:
    """Change nothing: it shows in what is done about it.

    It is heard so that the view is at the end of its topic once it has read it, not a second later.
    """
    return ()


def on_enrollment_opened(state: State, event: EnrollmentOpened, context: Context) -> Nothing:
    """Note until when it will be decided."""
    known = state.enrollments.get(event.enrollment_id)
    return _keep(state, known, decisions.open_(known, event, context.occurred_at))


def on_enrollment_confirmed(state: State, event: EnrollmentConfirmed, context: Context) -> Nothing:
    """Confirm it."""
    known = state.enrollments.get(event.enrollment_id)
    return _keep(state, known, decisions.confirm(known, event, context.occurred_at))


def on_enrollment_rejected(state: State, event: EnrollmentRejected, context: Context) -> Nothing:
    """Reject it."""
    known = state.enrollments.get(event.enrollment_id)
    return _keep(state, known, decisions.reject(known, event, context.occurred_at))


def on_enrollment_cancelled(state: State, event: EnrollmentCancelled, context: Context) -> Nothing:
    """Cancel it."""
    known = state.enrollments.get(event.enrollment_id)
    return _keep(state, known, decisions.cancel(known, event, context.occurred_at))


def on_step_done(
    state: State, event: StudentValidated | StudentClaimReleased, context: Context
) -> Nothing:
    """Note what student did for it."""
    known = state.enrollments.get(event.enrollment_id)
    return _keep(state, known, decisions.hear(known, event, context.occurred_at))


def on_student_rejected(state: State, event: StudentRejected, context: Context) -> Nothing:
    """Note why student refused it."""
    known = state.enrollments.get(event.enrollment_id)
    return _keep(state, known, decisions.refuse(known, event, context.occurred_at))


def on_seats_moved(state: State, event: SeatReserved | SeatReleased, context: Context) -> Nothing:
    """Note what capacity did for it, and the seats of its sections."""
    known = state.enrollments.get(event.enrollment_id)
    _keep(state, known, decisions.hear(known, event, context.occurred_at))
    return _count(state, event)


def on_seat_unavailable(state: State, event: SeatUnavailable, context: Context) -> Nothing:
    """Note why capacity refused it, and the seats of its sections."""
    known = state.enrollments.get(event.enrollment_id)
    _keep(state, known, decisions.refuse(known, event, context.occurred_at))
    return _count(state, event)


def _count(state: State, event: SeatReserved | SeatUnavailable | SeatReleased) -> Nothing:
    counted = (
        decisions.count(_section(state, SectionKey(event.term, seats.section_id)), seats)
        for seats in event.seats
    )
    return _keep_sections(state, counted)


def on_section_published(state: State, event: SectionPublished, _context: Context) -> Nothing:
    """Take over a newer version of a section."""
    return _keep_sections(state, [decisions.publish(_section(state, event.key), event)])


def on_section_withdrawn(state: State, event: SectionWithdrawn, _context: Context) -> Nothing:
    """Cancel a section that was deleted from the catalog."""
    return _keep_sections(state, [decisions.withdraw(_section(state, event.key), event)])


def _section(state: State, key: SectionKey) -> ViewedSection:
    return state.sections.get(key) or ViewedSection(*key)


def _keep(
    state: State, known: ViewedEnrollment | None, changed: ViewedEnrollment | None
) -> Nothing:
    if changed is None:
        return ()
    state.enrollments.put(changed.enrollment_id, changed)
    if known is None or known.status is not changed.status:
        state.totals[changed.status] += 1
        if known is not None:
            state.totals[known.status] -= 1
    return ()


def _keep_sections(state: State, changed: Iterable[ViewedSection | None]) -> Nothing:
    for section in changed:
        if section is not None:
            state.sections.put(section.key, section)
    return ()


REACTIONS: Reactions[State] = {
    EnrollmentRequested: on_enrollment_requested,
    MalformedRequest: on_enrollment_requested,
    EnrollmentCancellationRequested: on_enrollment_cancellation_requested,
    EnrollmentOpened: on_enrollment_opened,
    EnrollmentConfirmed: on_enrollment_confirmed,
    EnrollmentRejected: on_enrollment_rejected,
    EnrollmentCancelled: on_enrollment_cancelled,
    StudentValidated: on_step_done,
    StudentRejected: on_student_rejected,
    StudentClaimReleased: on_step_done,
    SeatReserved: on_seats_moved,
    SeatUnavailable: on_seat_unavailable,
    SeatReleased: on_seats_moved,
    SectionPublished: on_section_published,
    SectionWithdrawn: on_section_withdrawn,
}
