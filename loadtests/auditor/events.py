"""What the services said in their own topics, as plain data."""

from hashlib import blake2b
from sys import intern
from typing import Any, Final, NamedTuple

from loadtests.auditor.envelopes import Envelope, UnreadableError, open_envelope
from loadtests.auditor.records import Record

DIGEST_BYTES: Final = 16


class Seat(NamedTuple):
    """The ledger's entry for one section."""

    section_id: str
    seat_sequence: int
    reserved: int
    capacity: int
    version: int


class Event(NamedTuple):
    """An event of an enrollment; what a type does not carry is None or empty."""

    type: str
    id: str
    topic: str
    partition: int
    offset: int
    key: str | None
    traceparents: int
    digest: bytes
    enrollment_id: str
    student_id: str
    term: str | None
    sections: tuple[str, ...]
    credits: int | None
    stage: str | None
    was: str | None
    reasons: tuple[tuple[str, str | None], ...]  # code and section
    seats: tuple[Seat, ...]


def read_event(record: Record) -> Event:
    """Read a record of a topic of the saga, or raise UnreadableError."""
    envelope = open_envelope(record)
    try:
        event = _event(record, envelope)
    except (KeyError, TypeError, AttributeError) as error:
        raise UnreadableError(f"its {envelope.type} lacks something: {error!r}") from None
    if envelope.subject != event.enrollment_id:
        raise UnreadableError(
            f"its ce_subject is {envelope.subject}, its enrollment {event.enrollment_id}"
        )
    return event


def _event(record: Record, envelope: Envelope) -> Event:
    data: dict[str, Any] = envelope.data
    return Event(
        type=envelope.type,
        id=envelope.id,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=None if record.key is None else record.key.decode(errors="replace"),
        traceparents=envelope.traceparents,
        digest=_digest(record),
        enrollment_id=_text(data["enrollment_id"]),
        student_id=_text(data["student_id"]),
        term=data.get("term"),
        sections=tuple(map(_text, data.get("sections") or ())),
        credits=_count(data["credits"]) if "credits" in data else None,
        stage=data.get("stage"),
        was=data.get("was"),
        reasons=tuple((r["code"], r.get("section_id")) for r in data.get("reasons", ())),
        seats=tuple(_seat(seat) for seat in data.get("seats", ())),
    )


def _seat(data: dict[str, Any]) -> Seat:
    return Seat(
        _text(data["section_id"]),
        _count(data["seat_sequence"]),
        _count(data["reserved"]),
        _count(data["capacity"]),
        _count(data["version"]),
    )


def _text(value: object) -> str:
    """Keep one copy of each id: they come again in every event of a day."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return intern(value)


def _count(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _digest(record: Record) -> bytes:
    return blake2b(record.value or b"", digest_size=DIGEST_BYTES).digest()
