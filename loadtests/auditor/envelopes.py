"""The CloudEvent in a record, in binary or structured mode: its type, its id and its data."""

import json
from typing import Any, Final, NamedTuple
from uuid import UUID

from loadtests.auditor.contract import TYPES
from loadtests.auditor.records import Record

BODY_BYTES_MAX: Final = 64 * 1024


class UnreadableError(Exception):
    """The record is no event of the contract; the text says why."""


class Envelope(NamedTuple):
    """A CloudEvent; `is_utf8` is false where only a lenient reader takes its data for JSON."""

    type: str
    id: str
    subject: str | None
    data: Any
    is_utf8: bool
    traceparents: int


def open_envelope(record: Record) -> Envelope:
    """Read a record that is no tombstone, or raise UnreadableError."""
    if record.value is None:
        raise UnreadableError("it has no body")
    if len(record.value) > BODY_BYTES_MAX:
        raise UnreadableError(f"its body has {len(record.value)} bytes, {BODY_BYTES_MAX} at most")
    headers = dict(record.headers)
    traceparents = [name for name, _ in record.headers].count("traceparent")
    if "ce_type" in headers:
        return _binary(record.topic, record.value, headers, traceparents)
    return _structured(record.topic, record.value, traceparents)


def _binary(topic: str, value: bytes, headers: dict[str, bytes], traceparents: int) -> Envelope:
    text = {name: header.decode(errors="replace") for name, header in headers.items()}
    if text.get("ce_specversion") != "1.0":
        raise UnreadableError("ce_specversion is not 1.0")
    event_type = _known(topic, text["ce_type"], text.get("ce_dataschema"))
    event_id = _uuid(text.get("ce_id"))
    data, is_utf8 = _json(value)
    return Envelope(event_type, event_id, text.get("ce_subject"), data, is_utf8, traceparents)


def _structured(topic: str, value: bytes, traceparents: int) -> Envelope:
    envelope, _ = _json(value)
    if not isinstance(envelope, dict) or envelope.get("specversion") != "1.0":
        raise UnreadableError("it has neither ce_type nor a JSON body with specversion 1.0")
    event_type = _known(topic, envelope.get("type"), envelope.get("dataschema"))
    event_id, subject = _uuid(envelope.get("id")), envelope.get("subject")
    traceparents += "traceparent" in envelope
    return Envelope(event_type, event_id, subject, envelope.get("data"), True, traceparents)


def _known(topic: str, event_type: object, schema: object) -> str:
    if not isinstance(event_type, str) or event_type not in TYPES[topic]:
        raise UnreadableError(f"{topic} carries no {event_type}")
    if schema is not None and not str(schema).endswith(f"{event_type}.v1.json"):
        raise UnreadableError(f"its schema is not {event_type}.v1.json")
    return event_type


def _uuid(text: object) -> str:
    try:
        return str(UUID(str(text)))
    except ValueError:
        raise UnreadableError("its ce_id is no UUID") from None


def _json(value: bytes) -> tuple[Any, bool]:
    try:
        return json.loads(value.decode()), True
    except (ValueError, RecursionError):
        pass  # it may still be UTF-16, or begin with a byte order mark
    try:
        return json.loads(value), False
    except (ValueError, RecursionError):
        raise UnreadableError("its body is not JSON") from None
