"""What came from outside in enrollment.requests: requests, cancels, and what they are worth."""

import json
import re
from collections.abc import Hashable
from enum import Enum
from typing import Any, Final, NamedTuple, TypeGuard
from uuid import UUID

from loadtests.auditor.contract import CANCEL, REQUESTS
from loadtests.auditor.envelopes import Envelope, UnreadableError, open_envelope
from loadtests.auditor.records import Record

SECTIONS_MAX: Final = 50
DEADLINE_SECONDS_MAX: Final = 2**31 - 1
NESTING_MAX: Final = 201
IDENTIFIER: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_HYPHENATED: Final = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
ENROLLMENT_ID: Final = re.compile(
    rf"(urn:uuid:)?{_HYPHENATED}|\{{{_HYPHENATED}\}}|[0-9a-fA-F]{{32}}"
)


class Kind(Enum):
    """What a readable message asks for; a malformed request asks for its rejection."""

    VALID = "valid request"
    MALFORMED = "malformed request"
    CANCEL = "cancel"


class Request(NamedTuple):
    """A readable message; two with equal `body` say the same."""

    kind: Kind
    enrollment_id: str
    student_id: str
    term: str | None
    sections: tuple[str, ...]
    body: Hashable
    partition: int
    offset: int

    @property
    def place(self) -> str:
        """Name its record as dead letters and audit records do."""
        return f"{REQUESTS}/{self.partition}/{self.offset}"


class Unreadable(NamedTuple):
    """A message that must have become a dead letter."""

    place: str
    reason: str


def place_of(record: Record) -> str:
    """Name a record as dead letters and audit records do."""
    return f"{record.topic}/{record.partition}/{record.offset}"


def read_request(record: Record) -> Request | Unreadable:
    """Read a message; one with bad content and readable ids is malformed, not unreadable."""
    try:
        envelope = open_envelope(record)
        enrollment_id, student_id = _ids(envelope.data)
    except UnreadableError as error:
        return Unreadable(place_of(record), str(error))
    kind, term, sections, body = _content(envelope, record)
    return Request(
        kind, enrollment_id, student_id, term, sections, body, record.partition, record.offset
    )


def _is_plain(data: Any) -> bool:
    """Tell whether every reader of JSON takes it: no half characters, no endless nesting."""
    try:
        json.dumps(data, ensure_ascii=False).encode()
        return _depth(data) <= NESTING_MAX
    except (UnicodeEncodeError, RecursionError):
        return False


def _depth(data: Any) -> int:
    inner = data.values() if isinstance(data, dict) else data
    if not isinstance(data, dict | list):
        return 0
    return 1 + max(map(_depth, inner), default=0)


def _content(
    envelope: Envelope, record: Record
) -> tuple[Kind, str | None, tuple[str, ...], Hashable]:
    """Judge a request's content; of a malformed one only what is valid is kept."""
    if envelope.type == CANCEL:  # never lost for its form, where its ids are readable
        return Kind.CANCEL, None, (), None
    data = envelope.data
    is_plain = envelope.is_utf8 and _is_plain(data)
    term, sections, deadline = data.get("term"), data.get("sections"), data.get("deadline_seconds")
    if is_plain and _is_valid(term, sections, deadline):
        seconds = None if deadline is None else float(deadline)
        return Kind.VALID, term, tuple(sections), (term, tuple(sections), seconds)
    is_binary = any(name == "ce_type" for name, _ in record.headers)
    body = record.value if is_binary else json.dumps(data, sort_keys=True).encode()
    kept_term = term if is_identifier(term) else None
    kept_sections = tuple(sections) if _are_sections(sections) else ()
    return Kind.MALFORMED, kept_term, kept_sections, body


def _ids(data: Any) -> tuple[str, str]:
    enrollment_id = data.get("enrollment_id") if isinstance(data, dict) else None
    student_id = data.get("student_id") if isinstance(data, dict) else None
    if not isinstance(enrollment_id, str) or not ENROLLMENT_ID.fullmatch(enrollment_id):
        raise UnreadableError("it names no enrollment")
    if not is_identifier(student_id):
        raise UnreadableError("it names no student")
    return str(UUID(enrollment_id)), student_id


def is_identifier(value: Any) -> TypeGuard[str]:
    """Tell whether a value can name a student, a section, a course or a term."""
    return isinstance(value, str) and IDENTIFIER.fullmatch(value) is not None


def _is_valid(term: Any, sections: Any, deadline: Any) -> bool:
    return is_identifier(term) and _are_sections(sections) and _is_deadline(deadline)


def _are_sections(value: Any) -> bool:
    return (
        isinstance(value, list)
        and 1 <= len(value) <= SECTIONS_MAX
        and all(map(is_identifier, value))
        and len(set(value)) == len(value)
    )


def _is_deadline(value: Any) -> bool:
    if value is None:
        return True
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 < value <= DEADLINE_SECONDS_MAX
