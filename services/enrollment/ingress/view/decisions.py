"""The rules of the view: pure functions of what is known, an event, and when it came about.

Events come in any order between topics, and repeat: each is heard once, by its name, and what a row
says in the end is the same whatever the order. None says that nothing changes.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

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
    SeatCount,
    SeatReleased,
    SeatReserved,
    SectionPublished,
    SectionState,
    SectionWithdrawn,
    StudentClaimReleased,
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
    if known is None:
        return ViewedEnrollment(
            enrollment_id=event.enrollment_id,
            student_id=event.student_id,
            status=Status.PENDING,
            requested_at=at,
            term=event.term,
            sections=event.sections or (),
            happenings=(Happening(REQUESTED, at),),
        )
    if event.student_id != known.student_id or _was_heard(known, REQUESTED):
        return None
    return _hear(known, Happening(REQUESTED, at))


def hear(
    known: ViewedEnrollment | None, event: EnrollmentEvent, at: datetime
) -> ViewedEnrollment | None:
    """Note what a service says of an enrollment."""
    if known is not None and _was_heard(known, type(event).__name__):
        return None
    reasons = getattr(event, "reasons", ())
    return _settle(_hear(_named(known, event, at), Happening(type(event).__name__, at, reasons)))


def open_(
    known: ViewedEnrollment | None, event: EnrollmentOpened, at: datetime
) -> ViewedEnrollment | None:
    """Note until when it will be decided."""
    heard = hear(known, event, at)
    if heard is None:
        return None
    return replace(heard, opened_at=at, deadline_at=event.deadline_at)


def confirm(
    known: ViewedEnrollment | None, event: EnrollmentConfirmed, at: datetime
) -> ViewedEnrollment | None:
    """Confirm it, unless it is known to have been cancelled since."""
    heard = hear(known, event, at)
    if heard is None or heard.status is not Status.PENDING:
        return heard
    return _settle(replace(heard, status=Status.CONFIRMED, decided_at=at))


def reject(
    known: ViewedEnrollment | None, event: EnrollmentRejected, at: datetime
) -> ViewedEnrollment | None:
    """Reject it, and say why."""
    heard = hear(known, event, at)
    if heard is None:
        return None
    rejected = replace(
        heard, status=Status.REJECTED, decided_at=at, stage=event.stage, reasons=event.reasons
    )
    return _settle(rejected)


def cancel(
    known: ViewedEnrollment | None, event: EnrollmentCancelled, at: datetime
) -> ViewedEnrollment | None:
    """Cancel it; its happenings begin anew where those before were pruned."""
    if known is not None and known.happenings is None and known.status is Status.CONFIRMED:
        known = replace(known, happenings=())
    heard = hear(known, event, at)
    if heard is None:
        return None
    return _settle(replace(heard, status=Status.CANCELLED, decided_at=at, was=event.was))


def _was_heard(known: ViewedEnrollment, name: str) -> bool:
    """What was pruned was settled long before: whatever comes of it now is a repeat."""
    return known.happenings is None or any(one.event == name for one in known.happenings)


def _named(
    known: ViewedEnrollment | None, event: EnrollmentEvent, at: datetime
) -> ViewedEnrollment:
    """Take from the saga's own event whose enrollment it is and what for; a request may be wrong.

    Only a rejection may lack the term and the sections, where the request's were invalid.
    """
    about: Any = event
    if known is None:
        return ViewedEnrollment(
            enrollment_id=event.enrollment_id,
            student_id=event.student_id,
            status=Status.PENDING,
            requested_at=at,
            term=about.term,
            sections=about.sections or (),
        )
    return replace(
        known, student_id=event.student_id, term=about.term, sections=about.sections or ()
    )


def _hear(known: ViewedEnrollment, happening: Happening) -> ViewedEnrollment:
    assert known.happenings is not None
    return replace(
        known,
        happenings=(*known.happenings, happening),
        requested_at=min(known.requested_at, happening.at),
    )


def _settle(known: ViewedEnrollment) -> ViewedEnrollment:
    """Tell since when nothing has to be given back."""
    settled_at = _settled_at(known)
    return known if settled_at == known.settled_at else replace(known, settled_at=settled_at)


def _settled_at(known: ViewedEnrollment) -> datetime | None:
    if known.status in {Status.PENDING, Status.CONFIRMED}:
        return known.decided_at
    assert known.decided_at is not None
    heard = {one.event: one.at for one in known.happenings or ()}
    settled_at = known.decided_at
    for taken, given_back in TAKEN_AND_GIVEN_BACK:
        if given_back in heard:
            settled_at = max(settled_at, heard[given_back])
        elif taken in heard or known.was == "confirmed":
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
    return replace(known, reserved=seats.reserved, seat_sequence=seats.seat_sequence)
