"""Puts the example of an event into whole Kafka messages, in CloudEvents' two modes."""

import json
from typing import Any, Final
from uuid import UUID

from schemas.event_schemas import schema_id
from schemas.example_events import EXAMPLE_OF, OPENED_AT
from schemas.json_object import JsonObject
from shared.choreography import TOPIC_OF
from shared.codec import encode_body, encode_headers
from shared.events import EnrollmentEvent, Event, SectionPublished, StudentPublished
from shared.identifiers import EventId

STRUCTURED_CONTENT_TYPE: Final = "application/cloudevents+json; charset=UTF-8"
_EVENT_ID: Final = EventId(UUID("018f5f7e-7d40-7b1a-8c55-3e9a41d2f6b7"))
_TRACEPARENT: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def example_body(event_type: type[Event]) -> JsonObject:
    """Read the example's body as it is written to a topic."""
    body: JsonObject = json.loads(encode_body(EXAMPLE_OF[event_type]))
    return body


def example_headers(event_type: type[Event]) -> dict[str, str]:
    """Make the headers of binary mode as they are written to a topic."""
    writer = TOPIC_OF[event_type].writer
    headers = encode_headers(
        event_id=_EVENT_ID,
        event_type=event_type.__name__,
        source=f"/services/{writer}" if writer else "/student-portal",
        subject=_subject(EXAMPLE_OF[event_type]),
        occurred_at=OPENED_AT,
        traceparent=_TRACEPARENT,
    )
    return {name: _text(value) for name, value in headers}


def binary_message(event_type: type[Event]) -> JsonObject:
    """Show the attributes in headers and the body as value."""
    return _message(event_type, example_headers(event_type), example_body(event_type))


def structured_message(event_type: type[Event]) -> JsonObject:
    """Show the attributes and the body in one value."""
    headers = example_headers(event_type)
    attributes = {
        name.removeprefix("ce_"): value
        for name, value in headers.items()
        if name not in {"content-type", "traceparent"}
    }
    envelope = {
        **attributes,
        "datacontenttype": headers["content-type"],
        "dataschema": schema_id(event_type),
        "traceparent": headers["traceparent"],
        "data": example_body(event_type),
    }
    return _message(event_type, {"content-type": STRUCTURED_CONTENT_TYPE}, envelope)


def _message(event_type: type[Event], headers: dict[str, str], value: Any) -> JsonObject:
    return {
        "topic": TOPIC_OF[event_type].name,
        "key": example_key(EXAMPLE_OF[event_type]),
        "headers": headers,
        "value": value,
    }


def example_key(event: Event) -> str:
    """Make the message's key: what has one key comes in order."""
    match event:
        case EnrollmentEvent() | StudentPublished():
            return event.student_id
        case SectionPublished():
            return f"{event.term}/{event.section_id}"
        case _:
            raise AssertionError(f"{type(event).__name__} crosses no topic")


def _subject(event: Event) -> str:
    return str(event.enrollment_id) if isinstance(event, EnrollmentEvent) else example_key(event)


def _text(value: str | bytes | None) -> str:
    assert isinstance(value, bytes)
    return value.decode()
