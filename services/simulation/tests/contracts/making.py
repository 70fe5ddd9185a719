"""Events and messages for the tests of the contract."""

from datetime import UTC, datetime
from itertools import count
from uuid import UUID, uuid4

from shared.choreography import TOPIC_OF
from shared.codec import encode_body, encode_headers, raw_headers
from shared.events import (
    EnrollmentEvent,
    EnrollmentOpened,
    EnrollmentRejected,
    EnrollmentRequested,
    Event,
    SectionPublished,
    Stage,
    StudentPublished,
    StudentValidated,
)
from shared.identifiers import CourseId, EnrollmentId, EventId, SectionId, StudentId, Term
from shared.message import Arrival, Message
from shared.reaction import Parked

NOW = datetime(2031, 1, 15, 8, tzinfo=UTC)
TERM = Term("T")
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_OFFSETS = count()


def new_id() -> EnrollmentId:
    """Make an id of an enrollment."""
    return EnrollmentId(uuid4())


def ids(*numbers: int) -> list[EventId]:
    """Make ids of events that sort as their numbers."""
    return [EventId(UUID(int=number)) for number in numbers]


def requested(
    enrollment_id: EnrollmentId | None = None, student: str = "S1"
) -> EnrollmentRequested:
    """Ask for two sections."""
    return EnrollmentRequested(
        enrollment_id=enrollment_id or new_id(),
        student_id=StudentId(student),
        term=TERM,
        sections=(SectionId("A"), SectionId("B")),
    )


def opened(
    *sections: str, student: str = "S1", term: str = TERM, enrollment_id: EnrollmentId | None = None
) -> EnrollmentOpened:
    """Open an enrollment."""
    return EnrollmentOpened(
        enrollment_id=enrollment_id or new_id(),
        student_id=StudentId(student),
        term=Term(term),
        sections=tuple(map(SectionId, sections)),
        deadline_at=NOW,
    )


def validated(
    *sections: str, enrollment_id: EnrollmentId | None = None, student: str = "S1"
) -> StudentValidated:
    """Ask capacity for seats."""
    return StudentValidated(
        enrollment_id=enrollment_id or new_id(),
        student_id=StudentId(student),
        term=TERM,
        sections=tuple(map(SectionId, sections)),
        credits=6,
    )


def rejected(of: EnrollmentEvent) -> EnrollmentRejected:
    """End the enrollment that an event is about."""
    return EnrollmentRejected(
        enrollment_id=of.enrollment_id, student_id=of.student_id, stage=Stage.DEADLINE, reasons=()
    )


def section(name: str, *, version: int = 1, capacity: int = 10, worth: int = 3) -> SectionPublished:
    """Publish a section."""
    return SectionPublished(
        version=version,
        term=TERM,
        section_id=SectionId(name),
        course_id=CourseId(f"C{name}"),
        capacity=capacity,
        credits=worth,
    )


def student(name: str = "S1", *, version: int = 1, max_credits: int = 20) -> StudentPublished:
    """Publish a student."""
    return StudentPublished(version=version, student_id=StudentId(name), max_credits=max_credits)


def message_of(event: Event, offset: int | None = None, event_id: EventId | None = None) -> Message:
    """Write an event as its topic has it."""
    headers = encode_headers(
        event_id=event_id or EventId(uuid4()),
        event_type=type(event).__name__,
        source="/services/test",
        subject=str(getattr(event, "enrollment_id", "")),
        occurred_at=NOW,
        traceparent=TRACEPARENT,
    )
    return Message(
        TOPIC_OF[type(event)].name,
        0,
        next(_OFFSETS) if offset is None else offset,
        b"S1",
        encode_body(event),
        raw_headers(headers),
    )


def arrival_of(event: Event, event_id: EventId | None = None, offset: int | None = None) -> Arrival:
    """Read an event from its topic."""
    known = event_id or EventId(uuid4())
    return Arrival(message_of(event, offset, known), known, event, TRACEPARENT)


def parked(
    event: EnrollmentEvent, *, holds: bool = False, offset: int | None = None, detail: str = "why"
) -> Parked:
    """Give up an event."""
    return Parked(
        message_of(event, offset),
        "decision_raised",
        detail,
        event_type=type(event).__name__,
        enrollment_id=event.enrollment_id,
        holds=holds,
    )
