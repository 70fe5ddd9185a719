"""The rules of seats: pure functions of what is known, an event, and the time."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from services.capacity.model import Reservation, ReservationState, Section
from shared.events import (
    EnrollmentCancelled,
    EnrollmentRejected,
    Event,
    Reason,
    ReasonCode,
    SeatReleased,
    SeatReserved,
    SeatUnavailable,
    SectionPublished,
    SectionState,
    StudentValidated,
)
from shared.identifiers import SectionId
from shared.reasons import reason


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be kept and said; an empty one changes nothing."""

    reservation: Reservation | None = None
    sections: tuple[Section, ...] = ()
    events: tuple[Event, ...] = ()


def reserve(
    reservation: Reservation | None,
    sections: Mapping[SectionId, Section],
    event: StudentValidated,
    now: datetime,
) -> Decision:
    """Take a seat in every section, or in none; every question gets one answer."""
    if reservation is not None and reservation.is_answered:
        return Decision()
    if reservation is not None:
        late = replace(
            _answered(reservation.state, event, now), released_at=reservation.released_at
        )
        return _refuse(late, sections, event, (reason(ReasonCode.ALREADY_RELEASED),))
    obstacles = (_obstacle(sections, section_id) for section_id in event.sections)
    reasons = tuple(obstacle for obstacle in obstacles if obstacle is not None)
    if reasons:
        refused = _answered(ReservationState.REFUSED, event, now)
        return _refuse(refused, sections, event, reasons)
    taken = tuple(_move(sections[section_id], +1) for section_id in event.sections)
    return Decision(
        _answered(ReservationState.RESERVED, event, now),
        taken,
        (
            SeatReserved(
                enrollment_id=event.enrollment_id,
                student_id=event.student_id,
                term=event.term,
                sections=event.sections,
                seats=tuple(section.count() for section in taken),
            ),
        ),
    )


def release(
    reservation: Reservation | None,
    sections: Mapping[SectionId, Section],
    event: EnrollmentRejected | EnrollmentCancelled,
    now: datetime,
) -> Decision:
    """Mark the enrollment released, and give back exactly the seats that it holds.

    The mark stays: a reservation that comes after it takes no seat.
    """
    if reservation is None:
        mark = Reservation(
            enrollment_id=event.enrollment_id,
            student_id=event.student_id,
            state=ReservationState.RELEASED,
            is_answered=False,
            term=event.term,
            sections=event.sections or (),
            decided_at=now,
            released_at=now,
        )
        return Decision(mark)
    if reservation.student_id != event.student_id:
        return Decision()
    released = replace(reservation, state=ReservationState.RELEASED, released_at=now)
    match reservation.state:
        case ReservationState.RELEASED:
            return Decision()
        case ReservationState.REFUSED:
            return Decision(released)
        case ReservationState.RESERVED:
            returned = tuple(_move(sections[s], -1) for s in reservation.sections)
            return Decision(released, returned, (_seat_released(reservation, returned),))
        case unreachable:
            assert_never(unreachable)


def publish_section(section: Section | None, event: SectionPublished) -> Section | None:
    """Take over a newer version of a section; None where it is not newer."""
    if section is None:
        return Section(event.key, event.version, event.capacity, event.state)
    if event.version <= section.version:
        return None
    return replace(section, version=event.version, capacity=event.capacity, state=event.state)


def withdraw_section(section: Section | None) -> Section | None:
    """Cancel a section whose catalog entry was deleted; its seats stay with who holds them."""
    return None if section is None else replace(section, state=SectionState.CANCELLED)


def _obstacle(sections: Mapping[SectionId, Section], section_id: SectionId) -> Reason | None:
    section = sections.get(section_id)
    if section is None:
        return reason(ReasonCode.UNKNOWN_SECTION, section_id)
    match section.state:
        case SectionState.CANCELLED:
            return reason(ReasonCode.SECTION_CANCELLED, section_id)
        case SectionState.CLOSED:
            return reason(ReasonCode.SECTION_CLOSED, section_id)
        case SectionState.OPEN:
            if section.free > 0:
                return None
            return reason(ReasonCode.SECTION_FULL, section_id)
        case unreachable:
            assert_never(unreachable)


def _refuse(
    answered: Reservation,
    sections: Mapping[SectionId, Section],
    event: StudentValidated,
    reasons: tuple[Reason, ...],
) -> Decision:
    known = [sections[section_id] for section_id in event.sections if section_id in sections]
    unavailable = SeatUnavailable(
        enrollment_id=event.enrollment_id,
        student_id=event.student_id,
        term=event.term,
        sections=event.sections,
        seats=tuple(section.count() for section in known),
        reasons=reasons,
    )
    return Decision(answered, (), (unavailable,))


def _answered(state: ReservationState, event: StudentValidated, now: datetime) -> Reservation:
    return Reservation(
        enrollment_id=event.enrollment_id,
        student_id=event.student_id,
        state=state,
        is_answered=True,
        term=event.term,
        sections=event.sections,
        decided_at=now,
    )


def _move(section: Section, seats: int) -> Section:
    return replace(
        section, reserved=section.reserved + seats, seat_sequence=section.seat_sequence + 1
    )


def _seat_released(reservation: Reservation, returned: tuple[Section, ...]) -> SeatReleased:
    assert reservation.term is not None
    return SeatReleased(
        enrollment_id=reservation.enrollment_id,
        student_id=reservation.student_id,
        term=reservation.term,
        sections=reservation.sections,
        seats=tuple(section.count() for section in returned),
    )
