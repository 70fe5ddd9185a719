"""The rules of the view: pure functions of what is known, an event, and when it came about.

Events come in any order between topics, and repeat: each is heard once, by its name, and what a row
says in the end is the same whatever the order. None says that nothing changes.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, cast

from services.enrollment.ingress.view.model import (
    Happening,
    Status,
    ViewedEnrollment,
    ViewedSection,
)
from shared.events import (
    EnrollmentCancelled,
    EnrollmentConfirmed,
    EnrollmentEvent,
    EnrollmentOpened,
    EnrollmentRejected,
    EnrollmentRequested,
    MalformedRequest,
    Reason,
    SeatCount,
    SeatReleased,
    SeatReserved,
    SeatUnavailable,
    SectionPublished,
    SectionState,
    SectionWithdrawn,
    Stage,
    StudentClaimReleased,
    StudentRejected,
    StudentValidated,
)

REQUESTED = EnrollmentRequested.__name__
TAKEN_AND_GIVEN_BACK = (
    (StudentValidated.__name__, StudentClaimReleased.__name__),
    (SeatReserved.__name__, SeatReleased.__name__),
)


def request(
    known: ViewedEnrollment | None, event: EnrollmentRequested | MalformedRequest, at: datetime
) -> ViewedEnrollment | None:
    """Show a request until the saga says more of it; it takes nothing over that is known.

    Enrollment may have heard another request of the same id first: its events say whose it is.
    """
    happening = Happening(REQUESTED, at)
    if known is None:
        return ViewedEnrollment(
            enrollment_id=event.enrollment_id,
            student_id=event.student_id,
            status=Status.PENDING,
            requested_at=at,
            term=event.term,
            sections=event.sections or (),
            happenings=(happening,),
        )
    if event.student_id != known.student_id or _was_heard(known, REQUESTED):
        return None
    return replace(
        known,
        requested_at=min(known.requested_at, at),
        happenings=(*(known.happenings or ()), happening),
    )


def hear(
    known: ViewedEnrollment | None,
    event: EnrollmentEvent,
    at: datetime,
    *,
    reasons: tuple[Reason, ...] = (),
    status: Status | None = None,
    deadline_at: datetime | None = None,
    stage: Stage | None = None,
    was: Literal["pending", "confirmed"] | None = None,
) -> ViewedEnrollment | None:
    """Note what a service says of an enrollment; a `status` is its outcome.

    Whose it is and what for, the saga's own events say: a request may be wrong. Only a rejection
    may lack the term and the sections, where the request's were invalid.
    """
    name, about = type(event).__name__, cast("Any", event)
    row = known or ViewedEnrollment(event.enrollment_id, event.student_id, Status.PENDING, at)
    if _was_heard(row, name):
        return None
    happenings = (*(row.happenings or ()), Happening(name, at, reasons))
    decided_at = row.decided_at if status is None else at
    now_status, now_was = status or row.status, was or row.was
    return ViewedEnrollment(  # replace costs four times as much, and this is done for each event
        row.enrollment_id,
        event.student_id,
        now_status,
        min(row.requested_at, at),
        about.term,
        about.sections or (),
        row.opened_at if deadline_at is None else at,
        deadline_at or row.deadline_at,
        decided_at,
        stage or row.stage,
        reasons if status is Status.REJECTED else row.reasons,
        now_was,
        happenings,
        _settled_at(now_status, now_was, decided_at, happenings),
    )


def open_(
    known: ViewedEnrollment | None, event: EnrollmentOpened, at: datetime
) -> ViewedEnrollment | None:
    """Note until when it will be decided."""
    return hear(known, event, at, deadline_at=event.deadline_at)


def confirm(
    known: ViewedEnrollment | None, event: EnrollmentConfirmed, at: datetime
) -> ViewedEnrollment | None:
    """Confirm it, unless it is known to have been cancelled since."""
    is_pending = known is None or known.status is Status.PENDING
    return hear(known, event, at, status=Status.CONFIRMED if is_pending else None)


def refuse(
    known: ViewedEnrollment | None, event: StudentRejected | SeatUnavailable, at: datetime
) -> ViewedEnrollment | None:
    """Note why a service refused it."""
    return hear(known, event, at, reasons=event.reasons)


def reject(
    known: ViewedEnrollment | None, event: EnrollmentRejected, at: datetime
) -> ViewedEnrollment | None:
    """Reject it, and say why."""
    return hear(known, event, at, status=Status.REJECTED, stage=event.stage, reasons=event.reasons)


def cancel(
    known: ViewedEnrollment | None, event: EnrollmentCancelled, at: datetime
) -> ViewedEnrollment | None:
    """Cancel it; its happenings begin anew where those before were pruned."""
    if known is not None and known.happenings is None and known.status is Status.CONFIRMED:
        known = replace(known, happenings=())
    return hear(known, event, at, status=Status.CANCELLED, was=event.was)


def _was_heard(known: ViewedEnrollment, name: str) -> bool:
    """What was pruned was settled long before: whatever comes of it now is a repeat."""
    return known.happenings is None or name in [one.event for one in known.happenings]


def _settled_at(
    status: Status,
    was: Literal["pending", "confirmed"] | None,
    decided_at: datetime | None,
    happenings: tuple[Happening, ...],
) -> datetime | None:
    """Tell since when nothing has to be given back."""
    if decided_at is None or status is Status.CONFIRMED:
        return decided_at
    heard = {one.event: one.at for one in happenings}
    settled_at = decided_at
    for taken, given_back in TAKEN_AND_GIVEN_BACK:
        if given_back in heard:
            settled_at = max(settled_at, heard[given_back])
        elif taken in heard or was == "confirmed":
            return None
    return settled_at


def publish(known: ViewedSection, event: SectionPublished) -> ViewedSection | None:
    """Take over a newer version of a section."""
    if known.version is not None and event.version <= known.version:
        return None
    return replace(
        known,
        course_id=event.course_id,
        state=event.state,
        credits=event.credits,
        capacity=event.capacity,
        version=event.version,
    )


def withdraw(known: ViewedSection, _event: SectionWithdrawn) -> ViewedSection | None:
    """Cancel a section that was deleted from the catalog, if it was ever in it."""
    if known.version is None or known.state is SectionState.CANCELLED:
        return None
    return replace(known, state=SectionState.CANCELLED)


def count(known: ViewedSection, seats: SeatCount) -> ViewedSection | None:
    """Take over a later entry of the ledger."""
    if seats.seat_sequence <= known.seat_sequence:
        return None
    return ViewedSection(  # as above: it is done for each seat
        known.term,
        known.section_id,
        known.course_id,
        known.state,
        known.credits,
        known.capacity,
        known.version,
        seats.reserved,
        seats.seat_sequence,
    )
