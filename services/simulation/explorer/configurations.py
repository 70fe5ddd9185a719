"""The configurations: small worlds in which everything that may go wrong has room to."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Final
from uuid import UUID

from services.simulation.explorer.configuration import Configuration, Fault
from services.simulation.explorer.contents import NOW
from services.simulation.explorer.messages import Sent
from shared.choreography import SECTION_CATALOG, STUDENT_CATALOG, TOPIC_OF
from shared.codec import encode_body, encode_headers, raw_headers
from shared.events import (
    EnrollmentCancellationRequested,
    EnrollmentEvent,
    EnrollmentRequested,
    Event,
    MalformedRequest,
    Meeting,
    SectionPublished,
    SectionState,
    SectionWithdrawn,
    StudentPublished,
    StudentWithdrawn,
)
from shared.identifiers import (
    CourseId,
    EnrollmentId,
    EventId,
    SectionId,
    SectionKey,
    StudentId,
    Term,
)

TERM: Final = Term("2031")
TRACEPARENT: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
MONDAYS: Final = (Meeting(days="1000000", weeks="1", start_minute=480, end_minute=540),)


def enrollment_id(number: int) -> EnrollmentId:
    """Give the id of the enrollment that stories call by this number."""
    return EnrollmentId(UUID(int=number << 64))


def request(number: int, student: str, *sections: str) -> Sent:
    """Ask for sections."""
    event = EnrollmentRequested(
        enrollment_id=enrollment_id(number),
        student_id=StudentId(student),
        term=TERM,
        sections=tuple(map(SectionId, sections)),
    )
    return _asked(event, f"{student} asks for {', '.join(sections)} (enrollment {number})")


def malformed(number: int, student: str) -> Sent:
    """Ask for nothing at all."""
    good = request(number, student, "A")
    body = f'{{"enrollment_id":"{enrollment_id(number)}","student_id":"{student}","sections":[]}}'
    means = MalformedRequest(
        enrollment_id=enrollment_id(number),
        student_id=StudentId(student),
        problems=(),
        body_sha256=sha256(body.encode()).digest(),
    )
    tells = f"{student} asks for nothing (enrollment {number})"
    return good._replace(value=body.encode(), tells=tells, means=means)


def cancel(number: int, student: str, *, key: str = "") -> Sent:
    """Give an enrollment up; the key of the message may name somebody else."""
    event = EnrollmentCancellationRequested(
        enrollment_id=enrollment_id(number), student_id=StudentId(student)
    )
    return _asked(event, f"{student} cancels enrollment {number}")._replace(key=key or student)


def section(
    section_id: str,
    *,
    capacity: int = 1,
    worth: int = 3,
    version: int = 1,
    meetings: tuple[Meeting, ...] = (),
    state: SectionState = SectionState.OPEN,
) -> Sent:
    """Publish a section."""
    event = SectionPublished(
        version=version,
        term=TERM,
        section_id=SectionId(section_id),
        course_id=CourseId(f"C{section_id}"),
        capacity=capacity,
        credits=worth,
        meetings=meetings,
        state=state,
    )
    tells = f"registrar: section {section_id}: {capacity} seats, {worth} credits, {state}"
    return _message(event, f"{TERM}/{section_id}", section_id, tells)


def section_deleted(section_id: str) -> Sent:
    """Delete a section from its catalog."""
    tells = f"registrar: section {section_id} is deleted"
    means = SectionWithdrawn(key=SectionKey(TERM, SectionId(section_id)))
    return Sent(SECTION_CATALOG.name, f"{TERM}/{section_id}", None, (), tells, means)


def student_deleted(student_id: str) -> Sent:
    """Delete a student from her catalog."""
    tells = f"student system: {student_id} is deleted"
    means = StudentWithdrawn(student_id=StudentId(student_id))
    return Sent(STUDENT_CATALOG.name, student_id, None, (), tells, means)


def student(student_id: str, *, max_credits: int = 6, version: int = 1) -> Sent:
    """Publish a student."""
    event = StudentPublished(
        version=version, student_id=StudentId(student_id), max_credits=max_credits
    )
    tells = f"student system: {student_id} may take {max_credits} credits"
    return _message(event, student_id, student_id, tells)


def _asked(event: EnrollmentEvent, tells: str) -> Sent:
    return _message(event, event.student_id, str(event.enrollment_id), tells)


def _message(event: Event, key: str, subject: str, tells: str) -> Sent:
    headers = encode_headers(
        event_id=EventId(UUID(int=0)),
        event_type=type(event).__name__,
        source="/outside",
        subject=subject,
        occurred_at=NOW,
        traceparent=TRACEPARENT,
    )
    topic = TOPIC_OF[type(event)].name
    return Sent(topic, key, encode_body(event), raw_headers(headers), tells, event)


S1: Final = StudentId("S1")
S2: Final = StudentId("S2")
BOTH: Final = (S1, S2)
ONE_SEAT: Final = (section("A"), student("S1"), student("S2"))
TWO_SECTIONS: Final = (section("A"), section("B"), student("S1"), student("S2"))


def _world(
    name: str,
    catalog: tuple[Sent, ...],
    *streams: tuple[Sent, ...],
    students: tuple[StudentId, ...] = BOTH,
    has_deadlines: bool = False,
) -> Configuration:
    return Configuration(name, catalog, streams, students, has_deadlines=has_deadlines)


WORLDS: Final = (
    _world("two students, one seat", ONE_SEAT, (request(1, "S1", "A"),), (request(2, "S2", "A"),)),
    _world(
        "two sections, crossed",
        TWO_SECTIONS,
        (request(1, "S1", "A", "B"),),
        (request(2, "S2", "B", "A"),),
    ),
    _world(
        "one section, and both",
        TWO_SECTIONS,
        (request(1, "S1", "A"),),
        (request(2, "S2", "B", "A"),),
    ),
    _world(
        "one student, too many credits",
        (section("A", worth=4), section("B", worth=4), student("S1")),
        (request(1, "S1", "A"),),
        (request(2, "S1", "B"),),
        students=(S1,),
    ),
    _world(
        "one student, one section",
        (section("A", capacity=2), student("S1")),
        (request(1, "S1", "A"),),
        (request(2, "S1", "A"),),
        students=(S1,),
    ),
    _world(
        "one student, credits 4 to 1",
        (section("A", worth=4), section("B", worth=4), student("S1")),
        (request(1, "S1", "A"),),
        (request(2, "S1", "B"),),
        (section("A", worth=1, version=2),),
        students=(S1,),
    ),
    _world(
        "one student, one time",
        (section("A", meetings=MONDAYS), section("B", meetings=MONDAYS), student("S1")),
        (request(1, "S1", "A"),),
        (request(2, "S1", "B"),),
        students=(S1,),
    ),
    _world(
        "cancel races confirm",
        ONE_SEAT,
        (request(1, "S1", "A"), cancel(1, "S1")),
        (request(2, "S2", "A"),),
    ),
    _world(
        "cancel before its request",
        ONE_SEAT,
        (cancel(1, "S1"),),
        (request(1, "S1", "A"),),
        (cancel(1, "S2"),),
    ),
    _world(
        "somebody else cancels",
        ONE_SEAT,
        (request(1, "S1", "A"),),
        (cancel(1, "S2", key="S1"),),
    ),
    _world(
        "deadline races reservation",
        ONE_SEAT,
        (request(1, "S1", "A"),),
        (request(2, "S2", "A"),),
        has_deadlines=True,
    ),
    _world(
        "deadline races cancel",
        ONE_SEAT,
        (request(1, "S1", "A"), cancel(1, "S1")),
        has_deadlines=True,
    ),
    _world(
        "the same id again",
        TWO_SECTIONS,
        (request(1, "S1", "A"), request(1, "S1", "A")),
        (request(1, "S1", "B"),),
        (malformed(1, "S1"),),
        (request(1, "S2", "A"),),
    ),
)

# With a cancel, where what is given back may meet what has changed.
CHANGES: Final = (
    ("capacity 1 to 0", section("A", version=2, capacity=0), True),
    ("capacity 1 to 2", section("A", version=2, capacity=2), False),
    ("section closed", section("A", version=2, state=SectionState.CLOSED), False),
    ("section cancelled", section("A", version=2, state=SectionState.CANCELLED), True),
    ("section deleted", section_deleted("A"), False),
    ("credits 3 to 5", section("A", version=2, worth=5), True),
    ("limit 6 to 3", student("S1", version=2, max_credits=3), False),
    ("student deleted", student_deleted("S1"), False),
)


def _changing() -> Iterator[Configuration]:
    for name, change, has_cancel in CHANGES:
        first = (request(1, "S1", "A"), *([cancel(1, "S1")] if has_cancel else []))
        yield _world(name, TWO_SECTIONS, first, (request(2, "S2", "A"),), (change,))


def all_configurations() -> list[Configuration]:
    """Give every configuration: each world, with each kind of fault, both ways of partitions.

    Replays at once are many, so they are explored in the smallest worlds alone.
    """
    return [
        replace(
            world,
            name=f"{world.name}; {fault}; {'one partition' if is_shared else 'partitions'}",
            fault=fault,
            has_deadlines=world.has_deadlines or fault is Fault.DISCARD,
            is_shared=is_shared,
            batch_max=4 if world.is_small and fault is not Fault.CRASH else 2,
        )
        for world in [*WORLDS, *_changing()]
        for fault in Fault
        if fault is not Fault.REPLAYS or world.is_small
        for is_shared in ([True] if len(world.students) == 1 else [False, True])
    ]


def named(name: str) -> Configuration:
    """Give the configuration of this name."""
    return next(one for one in all_configurations() if one.name == name)
