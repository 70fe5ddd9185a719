"""One example of each event: the turns that one enrollment may take, and its catalog entries."""

from datetime import UTC, datetime
from typing import Final, TypedDict
from uuid import UUID

from shared import events as e
from shared.events import Event, Hold, Meeting, ReasonCode, SeatCount, Stage, Window
from shared.identifiers import CourseId, EnrollmentId, SectionId, StudentId, Term
from shared.reasons import reason

OPENED_AT: Final = datetime(2026, 8, 17, 14, 0, tzinfo=UTC)

_STUDENT: Final = StudentId("S000001")
_TERM: Final = Term("pu-cs-fal07")
_LAB: Final = SectionId("1.26")
_LECTURE: Final = SectionId("3.31")
_CREDITS: Final = 6


class _Enrollment(TypedDict):
    enrollment_id: EnrollmentId
    student_id: StudentId


class _Sections(_Enrollment):
    term: Term
    sections: tuple[SectionId, ...]


_ENROLLMENT: Final[_Enrollment] = {
    "enrollment_id": EnrollmentId(UUID("018f5f7e-7d3a-7cc4-9d6c-0f2b8a7f3c11")),
    "student_id": _STUDENT,
}
_ASKED: Final[_Sections] = {**_ENROLLMENT, "term": _TERM, "sections": (_LAB, _LECTURE)}
_SECTION_FULL: Final = reason(ReasonCode.SECTION_FULL, _LECTURE)
_OVER_LIMIT: Final = reason(ReasonCode.CREDIT_LIMIT, claimed=15, asked=_CREDITS, limit=18)


def _lab(seat_sequence: int, reserved: int) -> SeatCount:
    return SeatCount(
        section_id=_LAB, seat_sequence=seat_sequence, reserved=reserved, capacity=22, version=1
    )


def _lecture(seat_sequence: int, reserved: int) -> SeatCount:
    return SeatCount(
        section_id=_LECTURE, seat_sequence=seat_sequence, reserved=reserved, capacity=27, version=1
    )


EXAMPLES: Final[tuple[Event, ...]] = (
    e.EnrollmentRequested(**_ASKED, deadline_seconds=20),
    e.EnrollmentCancellationRequested(**_ENROLLMENT, reason="changed major"),
    e.EnrollmentOpened(**_ASKED, deadline_at=OPENED_AT.replace(second=20)),
    e.EnrollmentConfirmed(**_ASKED),
    e.EnrollmentRejected(**_ASKED, stage=Stage.CAPACITY, reasons=(_SECTION_FULL,)),
    e.EnrollmentCancelled(**_ASKED, was="confirmed"),
    e.StudentValidated(**_ASKED, credits=_CREDITS),
    e.StudentRejected(**_ASKED, reasons=(_OVER_LIMIT,)),
    e.StudentClaimReleased(**_ASKED, credits=_CREDITS),
    e.SeatReserved(**_ASKED, seats=(_lab(17, 13), _lecture(31, 27))),
    e.SeatUnavailable(**_ASKED, seats=(_lab(16, 12), _lecture(31, 27)), reasons=(_SECTION_FULL,)),
    e.SeatReleased(**_ASKED, seats=(_lab(18, 12), _lecture(32, 26))),
    e.SectionPublished(
        version=1,
        term=_TERM,
        section_id=_LECTURE,
        course_id=CourseId("3"),
        part="lecture",
        capacity=27,
        credits=3,
        meetings=(Meeting(days="0001000", weeks="1" * 15, start_minute=690, end_minute=800),),
        prerequisites=((CourseId("1"), CourseId("2")),),
        corequisites=(CourseId("4"),),
    ),
    e.StudentPublished(
        version=1,
        student_id=_STUDENT,
        max_credits=18,
        holds=(Hold(code="library-fee"),),
        completed_courses=(CourseId("2"),),
        windows=(
            Window(
                term=_TERM,
                opens_at=datetime(2026, 8, 17, 13, tzinfo=UTC),
                closes_at=datetime(2026, 8, 21, 22, tzinfo=UTC),
            ),
        ),
    ),
)

EXAMPLE_OF: Final = {type(event): event for event in EXAMPLES}
