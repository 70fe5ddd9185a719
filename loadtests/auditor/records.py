"""Records as a topic holds them, and their form as a line of JSON in a recorded day."""

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Record(NamedTuple):
    """One record of a topic; `value` None is a tombstone."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def to_line(record: Record) -> str:
    """Write a record as one line of JSON, whatever bytes it holds."""
    return json.dumps(
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "key": _text(record.key),
            "value": _text(record.value),
            "headers": [[name, _text(value)] for name, value in record.headers],
        }
    )


def from_lines(lines: Iterable[str]) -> Iterator[Record]:
    """Read a recorded day."""
    for line in lines:
        fields = json.loads(line)
        yield Record(
            fields["topic"],
            fields["partition"],
            fields["offset"],
            _bytes(fields["key"]),
            _bytes(fields["value"]),
            tuple((name, _bytes(value) or b"") for name, value in fields["headers"]),
        )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="surrogateescape")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode(errors="surrogateescape")
