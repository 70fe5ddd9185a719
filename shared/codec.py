"""CloudEvents 1.0 on Kafka: binary mode out, binary and structured mode in."""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from operator import methodcaller
from typing import Any, Final, TypeVar
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from shared.choreography import FROM_OUTSIDE, REQUESTS, SECTION_CATALOG, TOPICS
from shared.events import (
    EnrollmentCancellationRequested,
    EnrollmentRequested,
    Event,
    MalformedRequest,
    SectionIdField,
    SectionWithdrawn,
    StudentIdField,
    StudentWithdrawn,
    TermField,
)
from shared.identifiers import EnrollmentId, EventId, SectionKey
from shared.message import Arrival, Headers, Interest, Message, Unreadability, Unreadable

BODY_BYTES_MAX: Final = 64 * 1024
PROBLEMS_MAX: Final = 20
JSON_CONTENT_TYPE: Final = b"application/json"

T = TypeVar("T")

TIMESTAMP_LOG_APPEND_TIME: Final = 2  # the client's number; its library is no business of rules
_CLIENT_HEADERS: Final = methodcaller("headers")

_TYPES: Final[Mapping[str, Mapping[str, type[Event]]]] = {
    topic.name: {event.__name__: event for event in topic.events} for topic in TOPICS
}
_CATALOGS: Final = frozenset(topic.name for topic in TOPICS if topic.is_catalog)
_NO_EVENT_ID: Final = EventId(UUID(int=0))
_TERM_AND_SECTION: Final = TypeAdapter(tuple[TermField, SectionIdField])
_STUDENT_ID: Final[TypeAdapter[str]] = TypeAdapter(StudentIdField)
_ENROLLMENT_ID: Final[TypeAdapter[UUID]] = TypeAdapter(UUID)
_TERM: Final[TypeAdapter[str]] = TypeAdapter(TermField)
_SECTIONS: Final[TypeAdapter[tuple[str, ...]]] = TypeAdapter(
    EnrollmentRequested.model_fields["sections"].rebuild_annotation()
)


class _UnreadableError(Exception):
    """Carries the reason out of the steps of reading."""

    def __init__(self, reason: Unreadability, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def encode_headers(
    *,
    event_id: EventId,
    event_type: str,
    source: str,
    subject: str,
    occurred_at: datetime,
    traceparent: str | None,
) -> list[tuple[str, str | bytes | None]]:
    """Make the headers of binary mode; `traceparent` goes out exactly as it is stored."""
    headers: list[tuple[str, str | bytes | None]] = [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(event_id).encode()),
        ("ce_type", event_type.encode()),
        ("ce_source", source.encode()),
        ("ce_subject", subject.encode()),
        ("ce_time", occurred_at.isoformat().encode()),
        ("content-type", JSON_CONTENT_TYPE),
    ]
    if traceparent is not None:
        headers.append(("traceparent", traceparent.encode()))
    return headers


def encode_body(event: Event) -> bytes:
    """Write the body; absent values are left out."""
    return event.model_dump_json(exclude_none=True).encode()


def decode(message: Message, wanted: Collection[type[Event]]) -> Arrival | Unreadable | None:
    """Read a message; None says that it is an event nobody here reacts to.

    Never raises on content. An EnrollmentRequested with bad content and readable ids reads as a
    MalformedRequest, since it must get an outcome.
    """
    try:
        return _decode(message, wanted)
    except _UnreadableError as error:
        return Unreadable(message, error.reason, error.detail)


def interest_in(
    topic: str,
    headers: Mapping[str, bytes],
    *,
    wanted: Collection[type[Event]],
    patient: Collection[type[Event]],
) -> Interest:
    """Tell by the headers alone how much a service wants an event; what they hide, it wants now."""
    event_type = _known_type(topic, headers)
    if event_type is None:
        return Interest.NOW
    if event_type not in wanted:
        return Interest.NONE
    return Interest.LATER if event_type in patient else Interest.NOW


def _known_type(topic: str, headers: Mapping[str, bytes]) -> type[Event] | None:
    return _TYPES[topic].get(_text(headers, "ce_type") or "")


def _decode(message: Message, wanted: Collection[type[Event]]) -> Arrival | None:
    headers = dict(message.headers)
    known_type = _known_type(message.topic, headers)
    if known_type is not None and known_type not in wanted:
        return None
    if message.value is None:
        return Arrival(message, _NO_EVENT_ID, _tombstone(message), _text(headers, "traceparent"))
    if len(message.value) > BODY_BYTES_MAX:
        size = len(message.value)
        raise _UnreadableError(
            Unreadability.TOO_LARGE, f"the body has {size} bytes; at most {BODY_BYTES_MAX} are read"
        )
    if "ce_type" not in headers:
        return _decode_structured(message, headers, wanted)
    if _text(headers, "ce_specversion") != "1.0":
        raise _UnreadableError(Unreadability.NO_CLOUD_EVENT, "ce_specversion must be 1.0")
    event_type = _event_type(
        message.topic, _text(headers, "ce_type"), _text(headers, "ce_dataschema")
    )
    event_id = _event_id(_text(headers, "ce_id"))
    event = _read_body(event_type, message.value)
    return Arrival(message, event_id, event, _text(headers, "traceparent"))


def _decode_structured(
    message: Message, headers: Mapping[str, bytes], wanted: Collection[type[Event]]
) -> Arrival | None:
    envelope = _load_json(message.value or b"")
    if not isinstance(envelope, dict) or envelope.get("specversion") != "1.0":
        raise _UnreadableError(
            Unreadability.NO_CLOUD_EVENT,
            "neither ce_* headers nor a JSON body with specversion 1.0: send a CloudEvent",
        )
    event_type = _event_type(message.topic, envelope.get("type"), envelope.get("dataschema"))
    if event_type not in wanted:
        return None
    data = envelope.get("data")
    body = json.dumps(data, sort_keys=True).encode()
    traceparent = envelope.get("traceparent")
    return Arrival(
        message,
        _event_id(envelope.get("id")),
        _read_body(event_type, body),
        traceparent if isinstance(traceparent, str) else _text(headers, "traceparent"),
    )


def _text(headers: Mapping[str, bytes], name: str) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode(errors="replace")


def _event_type(topic: str, name: object, schema: object) -> type[Event]:
    event_type = _TYPES[topic].get(name) if isinstance(name, str) else None
    if event_type is None:
        known = ", ".join(_TYPES[topic])
        raise _UnreadableError(Unreadability.UNKNOWN_TYPE, f"this topic carries {known}")
    if schema is not None and not str(schema).endswith(f"{name}.v1.json"):
        raise _UnreadableError(
            Unreadability.UNKNOWN_VERSION, f"dataschema must end in {name}.v1.json or be absent"
        )
    return event_type


def _event_id(text: object) -> EventId:
    try:
        return EventId(UUID(str(text)))
    except ValueError:
        raise _UnreadableError(
            Unreadability.NO_CLOUD_EVENT, "the CloudEvent's id must be a UUID"
        ) from None


def _load_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise _UnreadableError(Unreadability.NOT_JSON, "the body is not JSON") from None


def _read_body(event_type: type[Event], body: bytes) -> Event:
    try:
        return event_type.model_validate_json(body)
    except ValidationError as error:
        data, problems = _load_json(body), describe(error)
        if event_type is EnrollmentRequested:
            return _malformed(data, body, problems)
        cancel = _valid_cancel(data) if event_type is EnrollmentCancellationRequested else None
        if cancel is not None:
            return cancel
        raise _UnreadableError(Unreadability.BAD_CONTENT, "; ".join(problems)) from None


def _valid_cancel(data: Any) -> EnrollmentCancellationRequested | None:
    """Read a cancel whose remark is JSON that pydantic's own parser refuses, half an emoji say."""
    try:
        return EnrollmentCancellationRequested.model_validate(data)
    except ValidationError:
        return None


def describe(error: ValidationError) -> tuple[str, ...]:
    """Name the fields and what is wrong with them; the values stay out, they may be personal."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return tuple(
        f"{'.'.join(str(part) for part in problem['loc']) or 'body'}: {_sentence(problem)}"
        for problem in found[:PROBLEMS_MAX]
    )


def _sentence(problem: ErrorDetails) -> str:
    """Leave out the character that pydantic quotes of a bad UUID: PostgreSQL stores no NUL."""
    return "Input should be a valid UUID" if problem["type"] == "uuid_parsing" else problem["msg"]


def _malformed(data: Any, body: bytes, problems: tuple[str, ...]) -> MalformedRequest:
    fields = data if isinstance(data, dict) else {}
    enrollment_id = _valid(_ENROLLMENT_ID, fields.get("enrollment_id"))
    student_id = _valid(_STUDENT_ID, fields.get("student_id"))
    if enrollment_id is None or student_id is None:
        raise _UnreadableError(Unreadability.BAD_CONTENT, "; ".join(problems))
    return MalformedRequest.model_validate(
        {
            "enrollment_id": EnrollmentId(enrollment_id),
            "student_id": student_id,
            "term": _valid(_TERM, fields.get("term")),
            "sections": _valid(_SECTIONS, fields.get("sections")),
            "problems": problems,
            "body_sha256": sha256(body).digest(),
        }
    )


def _valid(adapter: TypeAdapter[T], value: Any) -> T | None:
    try:
        return adapter.validate_json(json.dumps(value))
    except ValidationError:
        return None


def _tombstone(message: Message) -> Event:
    if message.topic not in _CATALOGS:
        raise _UnreadableError(Unreadability.NOT_JSON, "the body is empty")
    key = (message.key or b"").decode(errors="replace")
    try:
        if message.topic == SECTION_CATALOG.name:
            term, _, section_id = key.partition("/")
            pair = _TERM_AND_SECTION.validate_python((term, section_id))
            return SectionWithdrawn(key=SectionKey(*pair))
        return StudentWithdrawn.model_validate({"student_id": key})
    except ValidationError as error:
        raise _UnreadableError(Unreadability.BAD_CONTENT, "; ".join(describe(error))) from None


def headers_of(record: Any) -> Headers:
    """Read the headers of a client's record: none where the name of one is no UTF-8.

    On such a name the client gives names that must not be touched, and an error beside them. A
    plain call may see that error only later, or never; a call from C sees it at once.
    """
    try:
        return raw_headers(_CLIENT_HEADERS(record))
    except SystemError:
        record.set_headers([])
        return ()


def raw_headers(headers: Any) -> Headers:
    """Take over a client's headers; one without a value reads as empty."""
    return tuple((name, value or b"") for name, value in headers or ())


def logged_ms(record: Any) -> int | None:
    """Read when the broker took a client's record; a time that its producer gave counts for none.

    Our own events say themselves when they came about: for them it is not worth its price.
    """
    if record.topic() not in FROM_OUTSIDE:
        return None
    kind, milliseconds = record.timestamp()
    return milliseconds if kind == TIMESTAMP_LOG_APPEND_TIME else None


def occurred_at(message: Message) -> datetime | None:
    """Tell when something came about, by the clock of a service or of the broker, if by any.

    What comes from outside may claim any time.
    """
    if message.topic in FROM_OUTSIDE:
        milliseconds = message.logged_ms
        return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
    try:
        at = datetime.fromisoformat(_text(dict(message.headers), "ce_time") or "")
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def uses_inbox(topic: str) -> bool:
    """Tell whether ids of this topic are ours, and so are kept in the inbox."""
    return topic not in _CATALOGS and topic != REQUESTS.name
