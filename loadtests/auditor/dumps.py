"""A recorded day as a file: a line that tells its moment, a line for each record, their count."""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import IO, Any, Final

from loadtests.auditor.contract import CATALOGS, REQUESTS, SAGA_TOPICS, TOPICS
from loadtests.auditor.databases import connect, read_excuses
from loadtests.auditor.history import History, read_history
from loadtests.auditor.records import Record, from_lines, to_line
from loadtests.auditor.rest import POLL_SECONDS, Motion, measure
from loadtests.auditor.tables import Excuses
from loadtests.auditor.topics import Place, Topics, open_topics

FORMAT: Final = 1
OUTSIDE: Final = (REQUESTS, *CATALOGS)
FIRST_KEY: Final = "dump"
LAST_LINE_BEGINS: Final = b'{"records"'
PROGRESS_SECONDS: Final = 2.0
BAD_LINE: Final = (ValueError, KeyError, TypeError, AttributeError)  # as from_lines raises them


class DumpError(Exception):
    """A file is no whole dump; the text names the line."""


@dataclass(frozen=True)
class Cut:
    """When a dump was taken: where each log ended, and what the topics cannot tell."""

    ends: Mapping[Place, int]
    is_at_rest: bool = True
    excuses: Excuses = field(default_factory=Excuses)


@dataclass(frozen=True)
class Dumped:
    """What was written."""

    records: int
    is_at_rest: bool


async def dump(
    kafka_url: str,
    database_urls: Mapping[str, str],
    file: IO[str],
    *,
    on_progress: Callable[[str], None],
) -> Dumped:
    """Write all topics as they were when it began; services may go on meanwhile."""
    with open_topics(kafka_url) as topics:
        cut = await _cut(topics, database_urls)
        records = topics.read_until(cut.ends)
        count = await asyncio.to_thread(write, cut, records, file, on_progress)
    return Dumped(count, cut.is_at_rest)


async def _cut(topics: Topics, database_urls: Mapping[str, str]) -> Cut:
    """Find the ends; of what comes from outside later, so that no event lacks its cause there."""
    async with connect(database_urls) as connections:
        before = await measure(topics, connections)
        await asyncio.sleep(POLL_SECONDS)
        after = await measure(topics, connections)
        excuses = await read_excuses(connections)
    is_at_rest = before == after and not after.describe()
    return Cut(_ends(before, SAGA_TOPICS) | _ends(after, OUTSIDE), is_at_rest, excuses)


def _ends(motion: Motion, topics: tuple[str, ...]) -> dict[Place, int]:
    return {place: extent.end for place, extent in motion.extents.items() if place[0] in topics}


def write(
    cut: Cut, records: Iterable[Record], file: IO[str], on_progress: Callable[[str], None]
) -> int:
    """Write a whole dump, and give the number of its records."""
    count, said_at = 0, monotonic()
    print(_first_line(cut), file=file)
    for count, record in enumerate(records, start=1):
        print(to_line(record), file=file)
        if monotonic() - said_at > PROGRESS_SECONDS:
            said_at = monotonic()
            on_progress(f"{count:,} records")
    print(json.dumps({"records": count}), file=file)
    on_progress(f"{count:,} records")
    return count


def _first_line(cut: Cut) -> str:
    return json.dumps(
        {
            FIRST_KEY: FORMAT,
            "is_at_rest": cut.is_at_rest,
            "ends": [[*place, end] for place, end in cut.ends.items()],
            "parked": sorted(cut.excuses.parked),
            "discarded": sorted(cut.excuses.discarded),
        }
    )


def read(lines: Iterable[bytes], name: str) -> tuple[Cut, History]:
    """Read a dump, or raise DumpError; `name` is what the error calls it."""
    numbered = enumerate(lines, start=1)
    _, first = next(numbered, (1, b""))
    try:
        cut = _read_cut(json.loads(first))
    except BAD_LINE:
        raise DumpError(
            f"{name}: line 1 is not how a dump begins: name one of `enroll dump`"
        ) from None
    history = read_history(_records(numbered, name), cut.ends)
    if history.gaps:
        raise DumpError(f"{name} is not whole, so it proves nothing: {'; '.join(history.gaps)}")
    return cut, history


def _read_cut(fields: dict[str, Any]) -> Cut:
    if fields[FIRST_KEY] != FORMAT:
        raise ValueError("another format")
    return Cut(
        {(topic, int(partition)): int(end) for topic, partition, end in fields["ends"]},
        fields["is_at_rest"] is True,
        Excuses(
            frozenset(fields["parked"]),
            frozenset((one, event_type) for one, event_type in fields["discarded"]),
        ),
    )


def _records(numbered: Iterator[tuple[int, bytes]], name: str) -> Iterator[Record]:
    number = 1
    for number, line in numbered:
        if line.startswith(LAST_LINE_BEGINS):
            _require_end(line, number, next(numbered, None), name)
            return
        yield _record(line, number, name)
    raise DumpError(f"{name}: it was cut off after line {number}: dump again")


def _record(line: bytes, number: int, name: str) -> Record:
    try:
        (record,) = from_lines([line.decode()])
        if record.topic not in TOPICS:
            raise ValueError(f"there is no topic {record.topic}")
        if not (isinstance(record.partition, int) and isinstance(record.offset, int)):
            raise TypeError("its partition or its offset is no number")
    except BAD_LINE as error:
        why = str(error) or type(error).__name__
        raise DumpError(f"{name}: line {number} is no record ({why}): dump again") from None
    return record


def _require_end(line: bytes, number: int, after: tuple[int, bytes] | None, name: str) -> None:
    counted = number - 2  # without the first line and this one
    try:
        written = json.loads(line)["records"]
    except BAD_LINE:
        raise DumpError(f"{name}: line {number} was cut off: dump again") from None
    if written != counted:
        text = f"{name}: line {number} counts {written} records, {counted} are there"
        raise DumpError(f"{text}: dump again")
    if after is not None:
        raise DumpError(f"{name}: line {after[0]} comes after the end: one dump a file")
