"""Enrollment's reactions: take rows out of the batch's state, decide, put the changed ones back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from services.enrollment import decisions
from services.enrollment.decisions import Decision
from services.enrollment.model import State
from shared.events import (
    EnrollmentCancellationRequested,
    EnrollmentRequested,
    MalformedRequest,
    SeatReserved,
    SeatUnavailable,
    StudentRejected,
)
from shared.identifiers import EnrollmentId
from shared.message import Emitted
from shared.reaction import Context, Reactions

OVERDUE_MAX: Final = 500


def on_enrollment_requested(
    state: State, event: EnrollmentRequested | MalformedRequest, context: Context
) -> Sequence[Emitted]:
    """Open a new enrollment, or refuse it; a repeat changes nothing."""
    known = state.enrollments.get(event.enrollment_id)
    decision = decisions.request(
        known,
        event,
        state.policy,
        context.now,
        context.traceparent,
        requested_at=context.occurred_at,
    )
    return _keep(state, event.enrollment_id, decision)


def on_enrollment_cancellation_requested(
    state: State, event: EnrollmentCancellationRequested, context: Context
) -> Sequence[Emitted]:
    """Cancel a pending or confirmed enrollment; remember a cancel that came too early."""
    known = state.enrollments.get(event.enrollment_id)
    return _keep(state, event.enrollment_id, decisions.cancel(known, event, context.now))


def on_seat_reserved(state: State, event: SeatReserved, context: Context) -> Sequence[Emitted]:
    """Confirm what is still pending."""
    known = state.enrollments.get(event.enrollment_id)
    return _keep(state, event.enrollment_id, decisions.confirm(known, event, context.now))


def on_refused(
    state: State, event: StudentRejected | SeatUnavailable, context: Context
) -> Sequence[Emitted]:
    """Reject what is still pending."""
    known = state.enrollments.get(event.enrollment_id)
    return _keep(state, event.enrollment_id, decisions.reject(known, event, context.now))


def on_deadlines_passed(state: State, now: datetime) -> list[Emitted]:
    """Reject every loaded enrollment whose deadline has passed while it was pending."""
    overdue = list(state.enrollments.all())
    return [
        emitted
        for known in overdue
        for emitted in _keep(state, known.enrollment_id, decisions.expire(known, now))
    ]


class OverdueUnit(Protocol):
    """What a transaction must be able to do, so that deadlines can be kept in it."""

    async def load_overdue(self, now: datetime, limit: int) -> State:
        """Lock pending enrollments whose deadline has passed, but for those at work elsewhere."""

    async def save(self, state: State) -> None:
        """Write the changed rows."""

    async def emit(self, emitted: Sequence[Emitted], now: datetime) -> None:
        """Append events to the outbox."""


async def reject_overdue(unit: OverdueUnit, now: datetime) -> Sequence[Emitted]:
    """Reject what is overdue, from the database: so a deadline survives any restart."""
    state = await unit.load_overdue(now, OVERDUE_MAX)
    emitted = on_deadlines_passed(state, now)
    await unit.save(state)
    await unit.emit(emitted, now)
    return emitted


def _keep(state: State, enrollment_id: EnrollmentId, decision: Decision) -> list[Emitted]:
    """Outcomes continue the trace of the request, whatever brought them about."""
    if decision.conflict is not None:
        state.conflicts.append(decision.conflict)
    if decision.enrollment is None:
        return []
    state.enrollments.put(enrollment_id, decision.enrollment)
    row = decision.enrollment
    return [Emitted(event, row.traceparent, row.requested_at) for event in decision.events]


REACTIONS: Reactions[State] = {
    EnrollmentRequested: on_enrollment_requested,
    MalformedRequest: on_enrollment_requested,
    EnrollmentCancellationRequested: on_enrollment_cancellation_requested,
    StudentRejected: on_refused,
    SeatReserved: on_seat_reserved,
    SeatUnavailable: on_refused,
}
