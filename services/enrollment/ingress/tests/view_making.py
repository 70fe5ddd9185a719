"""Events of one enrollment, as the tests of the view need them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from services.enrollment.ingress.view.handlers import REACTIONS
from services.enrollment.ingress.view.model import State, ViewedEnrollment
from shared.choreography import FROM_OUTSIDE, REQUESTS, TOPIC_OF
from shared.events import (
    EnrollmentCancelled,
    EnrollmentConfirmed,
    EnrollmentEvent,
    EnrollmentOpened,
    EnrollmentRejected,
    EnrollmentRequested,
    Event,
    MalformedRequest,
    Reason,
    ReasonCode,
    SeatCount,
    SeatReleased,
    SeatReserved,
    SeatUnavailable,
    SectionPublished,
    SectionState,
    Stage,
    StudentClaimReleased,
    StudentRejected,
    StudentValidated,
)
from shared.identifiers import CourseId, EnrollmentId, SectionId, StudentId, Term, new_event_id
from shared.message import Arrival, Message
from shared.reaction import Folded, Rows, fold

NOW = datetime(2026, 1, 12, 8, tzinfo=UTC)
LATE = NOW + timedelta(hours=2)  # when the view hears of it
ID = EnrollmentId(UUID(int=7))
S1 = StudentId("S1")
S2 = StudentId("S2")
TERM = Term("T")
A = SectionId("A")
B = SectionId("B")
SECTIONS = (A, B)
FULL = (Reason(code=ReasonCode.SECTION_FULL, section_id=A, detail="full", detail_es="lleno"),)
HOLD = (Reason(code=ReasonCode.STUDENT_HOLD, detail="a hold"),)
RELEASED = (Reason(code=ReasonCode.ALREADY_RELEASED, detail="released"),)
OVERDUE = (Reason(code=ReasonCode.DEADLINE, detail="too late"),)
BAD = (Reason(code=ReasonCode.BAD_REQUEST, detail="term: Field required"),)


def at(seconds: float) -> datetime:
    """Some seconds after the beginning."""
    return NOW + timedelta(seconds=seconds)


def requested(student: StudentId = S1, id_: EnrollmentId = ID) -> EnrollmentRequested:
    return EnrollmentRequested(enrollment_id=id_, student_id=student, term=TERM, sections=SECTIONS)


def malformed(student: StudentId = S1, id_: EnrollmentId = ID) -> MalformedRequest:
    return MalformedRequest(
        enrollment_id=id_, student_id=student, problems=("term: x",), body_sha256=b"x"
    )


def opened(id_: EnrollmentId = ID, student: StudentId = S1) -> EnrollmentOpened:
    return EnrollmentOpened(
        enrollment_id=id_,
        student_id=student,
        term=TERM,
        sections=SECTIONS,
        deadline_at=at(30),
    )


def confirmed(id_: EnrollmentId = ID, student: StudentId = S1) -> EnrollmentConfirmed:
    return EnrollmentConfirmed(enrollment_id=id_, student_id=student, term=TERM, sections=SECTIONS)


def rejected(
    stage: Stage, reasons: tuple[Reason, ...], id_: EnrollmentId = ID
) -> EnrollmentRejected:
    is_bad = stage is Stage.REQUEST
    return EnrollmentRejected(
        enrollment_id=id_,
        student_id=S1,
        term=None if is_bad else TERM,
        sections=None if is_bad else SECTIONS,
        stage=stage,
        reasons=reasons,
    )


def cancelled(was: Literal["pending", "confirmed"], id_: EnrollmentId = ID) -> EnrollmentCancelled:
    return EnrollmentCancelled(
        enrollment_id=id_, student_id=S1, term=TERM, sections=SECTIONS, was=was
    )


def validated(id_: EnrollmentId = ID, student: StudentId = S1) -> StudentValidated:
    return StudentValidated(
        enrollment_id=id_, student_id=student, term=TERM, sections=SECTIONS, credits=6
    )


def ineligible(id_: EnrollmentId = ID) -> StudentRejected:
    return StudentRejected(
        enrollment_id=id_, student_id=S1, term=TERM, sections=SECTIONS, reasons=HOLD
    )


def claim_released(id_: EnrollmentId = ID) -> StudentClaimReleased:
    return StudentClaimReleased(
        enrollment_id=id_, student_id=S1, term=TERM, sections=SECTIONS, credits=6
    )


def seats(sequence: int, reserved: int) -> tuple[SeatCount, ...]:
    return tuple(
        SeatCount(section_id=one, seat_sequence=sequence, reserved=reserved, capacity=9, version=1)
        for one in SECTIONS
    )


def seat_reserved(
    id_: EnrollmentId = ID, sequence: int = 1, reserved: int = 1, student: StudentId = S1
) -> SeatReserved:
    return SeatReserved(
        enrollment_id=id_,
        student_id=student,
        term=TERM,
        sections=SECTIONS,
        seats=seats(sequence, reserved),
    )


def seat_unavailable(
    reasons: tuple[Reason, ...] = FULL, id_: EnrollmentId = ID, sequence: int = 0
) -> SeatUnavailable:
    return SeatUnavailable(
        enrollment_id=id_,
        student_id=S1,
        term=TERM,
        sections=SECTIONS,
        seats=seats(sequence, 0),
        reasons=reasons,
    )


def seat_released(id_: EnrollmentId = ID, sequence: int = 2, reserved: int = 0) -> SeatReleased:
    return SeatReleased(
        enrollment_id=id_,
        student_id=S1,
        term=TERM,
        sections=SECTIONS,
        seats=seats(sequence, reserved),
    )


def published(
    version: int = 1, capacity: int = 9, section: SectionId = A, term: Term = TERM
) -> SectionPublished:
    return SectionPublished(
        version=version,
        term=term,
        section_id=section,
        course_id=CourseId("C"),
        capacity=capacity,
        credits=3,
        state=SectionState.CLOSED if version % 2 == 0 else SectionState.OPEN,
    )


HAPPY: tuple[EnrollmentEvent, ...] = (
    requested(),
    opened(),
    validated(),
    seat_reserved(),
    confirmed(),
)
# The true sets of events of a saga, each in the order in which they came about.
STORIES: dict[str, tuple[EnrollmentEvent, ...]] = {
    "asked": (requested(),),
    "opened": (requested(), opened()),
    "confirmed": HAPPY,
    "bad": (malformed(), rejected(Stage.REQUEST, BAD)),
    "ineligible": (requested(), opened(), ineligible(), rejected(Stage.ELIGIBILITY, HOLD)),
    "full": (
        requested(),
        opened(),
        validated(),
        seat_unavailable(),
        rejected(Stage.CAPACITY, FULL),
        claim_released(),
    ),
    "cancelled before it came": (requested(), cancelled("pending")),
    "cancelled while pending": (
        requested(),
        opened(),
        cancelled("pending"),
        validated(),
        seat_reserved(),
        seat_released(),
        claim_released(),
    ),
    "cancelled while confirmed": (
        *HAPPY,
        cancelled("confirmed"),
        claim_released(),
        seat_released(),
    ),
    "nobody answers": (requested(), opened(), rejected(Stage.DEADLINE, OVERDUE)),
    "answered late": (
        requested(),
        opened(),
        rejected(Stage.DEADLINE, OVERDUE),
        validated(),
        seat_unavailable(RELEASED),
        claim_released(),
    ),
    "reserved late": (
        requested(),
        opened(),
        validated(),
        rejected(Stage.DEADLINE, OVERDUE),
        seat_reserved(),
        seat_released(),
        claim_released(),
    ),
}


def fresh() -> State:
    """What a batch has that finds nothing in the database."""
    return State(Rows({}), Rows({}))


def arrival_of(event: Event, when: datetime) -> Arrival:
    """An event as it came, with the time of the broker or of its writer."""
    topic = TOPIC_OF.get(type(event), REQUESTS).name
    is_outside = topic in FROM_OUTSIDE
    headers = () if is_outside else (("ce_time", when.isoformat().encode()),)
    logged_ms = round(when.timestamp() * 1000) if is_outside else None
    message = Message(topic, 0, 0, None, b"{}", headers, logged_ms)
    return Arrival(message, new_event_id(), event, None)


def timed(story: Sequence[EnrollmentEvent]) -> list[Arrival]:
    """Let the events of a story come about one second after the other."""
    return [arrival_of(event, at(second)) for second, event in enumerate(story)]


def hear(state: State, arrivals: Sequence[Arrival]) -> Folded:
    """Let the view hear of something, all of it."""
    folded = fold(state, arrivals, set(), REACTIONS, LATE)
    assert folded.parked == []
    assert folded.emitted == []
    return folded


def seen(*events: EnrollmentEvent, id_: EnrollmentId = ID) -> ViewedEnrollment:
    """What the view shows after these events, in their order."""
    state = fresh()
    hear(state, timed(events))
    found = state.enrollments.get(id_)
    assert found is not None
    return found
