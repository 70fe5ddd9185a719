"""Plays the saga on the services' databases without a broker: each event goes where it is read."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from services.cli.dead_letter_work import parts_of
from services.cli.target import SERVICES, Target, transaction
from shared import letter_rows
from shared.choreography import TOPIC_OF
from shared.codec import encode_body, encode_headers
from shared.events import (
    EnrollmentEvent,
    EnrollmentRequested,
    Event,
    SectionPublished,
    StudentPublished,
)
from shared.identifiers import EventId
from shared.message import Message
from shared.reaction import Context, Parked

TERM = "2030"
TRACE = "00-000000000000000000000000000000aa-00000000000000bb-00"


def a_request(**changes: Any) -> EnrollmentRequested:
    fields = {"enrollment_id": uuid4(), "student_id": "s-1", "term": TERM, "sections": ["a"]}
    return EnrollmentRequested.model_validate(fields | changes)


async def publish_catalogs(target: Target, *, capacity: int = 1) -> None:
    """Publish the sections a and b, and the student s-1."""
    for section_id in ("a", "b"):
        await play(
            target,
            SectionPublished.model_validate(
                {
                    "version": 1,
                    "term": TERM,
                    "section_id": section_id,
                    "course_id": section_id,
                    "capacity": capacity,
                    "credits": 3,
                }
            ),
        )
    await play(
        target,
        StudentPublished.model_validate({"version": 1, "student_id": "s-1", "max_credits": 20}),
    )


async def play(target: Target, *events: Event) -> list[str]:
    """Let the services decide these events and all that follow from them; names what follows."""
    waiting, said = list(events), []
    while waiting:
        event = waiting.pop(0)
        for service in SERVICES:
            follow = await _decide(target, service, event)
            waiting += follow
            said += [type(one).__name__ for one in follow]
    return said


async def _decide(target: Target, service: str, event: Event) -> list[Event]:
    async with transaction(target, service) as begun:
        unit, reactions = parts_of(target, service, begun)
        if type(event) not in reactions:
            return []
        state = await unit.load([event])
        emitted = reactions[type(event)](state, event, Context(datetime.now(UTC), TRACE))
        await unit.save(state)
        return [one.event for one in emitted]


async def park(target: Target, service: str, *events: EnrollmentEvent) -> list[int]:
    """Park events as if their decision had raised; gives the ids of the dead letters."""
    parked = [
        Parked(
            _message(event, n),
            "decision_raised",
            "a test",
            event_type=type(event).__name__,
            enrollment_id=event.enrollment_id,
            holds=True,
        )
        for n, event in enumerate(events)
    ]
    async with transaction(target, service) as begun:
        await letter_rows.park(begun, parked, datetime.now(UTC))
        return [letter.id for letter in await letter_rows.read(begun)]


async def park_raw(
    target: Target, service: str, body: bytes, *, offset: int = 0, reason: str = "not_json"
) -> None:
    """Park a message of a service's topic that nobody can read."""
    headers = (("ce_specversion", b"1.0"), ("ce_id", str(uuid4()).encode()))
    message = Message(
        "student.events", 1, offset, b"s-1", body, (*headers, ("ce_type", b"StudentValidated"))
    )
    async with transaction(target, service) as begun:
        await letter_rows.park(begun, [Parked(message, reason, "a test")], datetime.now(UTC))


def _message(event: EnrollmentEvent, offset: int) -> Message:
    headers = encode_headers(
        event_id=EventId(UUID(int=offset)),
        event_type=type(event).__name__,
        source="test",
        subject=str(event.enrollment_id),
        occurred_at=datetime.now(UTC),
        traceparent=TRACE,
    )
    raw = tuple((name, value) for name, value in headers if isinstance(value, bytes))
    topic = TOPIC_OF[type(event)].name
    return Message(topic, 0, offset, event.student_id.encode(), encode_body(event), raw)


async def outbox(target: Target, service: str) -> list[str]:
    """Name the events that wait to be published."""
    async with transaction(target, service) as begun:
        rows = await begun.fetch("SELECT event_type FROM outbox ORDER BY id")
    return [row["event_type"] for row in rows]
