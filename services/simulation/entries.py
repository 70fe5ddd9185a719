"""Judges at rest what the services know of the catalogs, by what was published there."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from loadtests.auditor.records import Record
from services.simulation.database import MemoryDatabase
from services.student.model import Section, Student
from shared.choreography import SECTION_CATALOG, STUDENT_CATALOG, Service, Topic
from shared.events import ReasonCode, SectionState

REFUSALS: Final = frozenset({("ce_type", b"StudentRejected"), ("ce_type", b"SeatUnavailable")})
NO_SEATS: Final = (0, "")  # of an entry that has none, or of somebody who does not care


class Entry(NamedTuple):
    """What a service is to know of an entry."""

    version: int
    is_deleted: bool
    capacity: int
    state: str


def judge_entries(
    databases: Mapping[Service, MemoryDatabase], records: Sequence[Record], early: Collection[str]
) -> Iterator[str]:
    """Every entry is known as it is published, and was when it was asked for.

    `early` names the entries that were published before any process began, and not deleted.
    """
    sections, students = _fold(records, SECTION_CATALOG), _fold(records, STUDENT_CATALOG)
    student, capacity = databases[Service.STUDENT], databases[Service.CAPACITY]
    found = {
        f"{key.term}/{key.section_id}": Entry(
            row.version, row.state is SectionState.CANCELLED, row.capacity, row.state.value
        )
        for key, row in capacity.rows("section").items()
    }
    yield from _compare("1: capacity", found, {n: _as_seats(one) for n, one in sections.items()})
    found = {f"{k.term}/{k.section_id}": _entry(row) for k, row in student.rows("section").items()}
    yield from _compare("4: student", found, {n: _as_entry(one) for n, one in sections.items()})
    found = {key: _entry(row) for key, row in student.rows("student").items()}
    yield from _compare("4: student", found, students)
    yield from _judge_sales(records)
    yield from _judge_refusals(records, early)


def _fold(records: Iterable[Record], topic: Topic) -> dict[str, Entry]:
    """Read a catalog from its beginning: only a newer version undoes a deletion."""
    entries: dict[str, Entry] = {}
    for record in records:
        if record.topic != topic.name:
            continue
        name = (record.key or b"").decode()
        known, body = entries.get(name), _body(record)
        if body is not None and (known is None or body["version"] > known.version):
            seats = (body["capacity"], body["state"]) if "capacity" in body else NO_SEATS
            entries[name] = Entry(body["version"], False, *seats)
        elif body is None and known is not None:
            entries[name] = known._replace(is_deleted=True)
    return entries


def _body(record: Record) -> Any:
    return None if record.value is None else json.loads(record.value)


def _as_seats(entry: Entry) -> Entry:
    """Capacity knows a deleted section as one that is cancelled."""
    state = SectionState.CANCELLED.value if entry.is_deleted else entry.state
    return entry._replace(is_deleted=state == SectionState.CANCELLED, state=state)


def _as_entry(entry: Entry) -> Entry:
    return Entry(entry.version, entry.is_deleted, *NO_SEATS)


def _entry(row: Section | Student) -> Entry:
    return Entry(row.published.version, row.is_withdrawn, *NO_SEATS)


def _compare(who: str, found: Mapping[str, Entry], wanted: Mapping[str, Entry]) -> Iterator[str]:
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            yield f"{who} knows {name} as {found.get(name)}; published is {wanted.get(name)}"


def _judge_sales(records: Iterable[Record]) -> Iterator[str]:
    """Seats are said with the version of their section, of which the catalog has the state."""
    states: dict[tuple[str, str, int], str] = {}
    sold: set[tuple[str, str, int]] = set()
    for record in records:
        if record.topic == SECTION_CATALOG.name and record.value is not None:
            body = _body(record)
            states[body["term"], body["section_id"], body["version"]] = body["state"]
        elif ("ce_type", b"SeatReserved") in record.headers:
            body = _body(record)
            sold |= {(body["term"], seat["section_id"], seat["version"]) for seat in body["seats"]}
    for term, section_id, version in sorted(sold):
        state = states.get((term, section_id, version))
        if state != SectionState.OPEN:
            yield f"1: section {term}/{section_id}: sold as version {version}, which is {state}"


def _judge_refusals(records: Iterable[Record], early: Collection[str]) -> Iterator[str]:
    """Catalogs are read before the rest, as far as they went when the process began."""
    for record in records:
        if REFUSALS.isdisjoint(record.headers):
            continue
        body = _body(record)
        for reason in body["reasons"]:
            if reason["code"] == ReasonCode.UNKNOWN_STUDENT and body["student_id"] in early:
                yield f"4: {body['student_id']} is not known, and was published before"
            section = f"{body['term']}/{reason.get('section_id')}"
            if reason["code"] == ReasonCode.UNKNOWN_SECTION and section in early:
                yield f"4: section {section} is not known, and was published before"
