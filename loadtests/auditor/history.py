"""What the topics tell, read once: requests, events without their repeats, catalogs, gaps."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from loadtests.auditor.catalogs import Catalogs, read_catalogs
from loadtests.auditor.contract import CATALOGS, REQUESTS, SAGA_TOPICS
from loadtests.auditor.envelopes import UnreadableError
from loadtests.auditor.events import Event, read_event
from loadtests.auditor.records import Record
from loadtests.auditor.report import Invariant, Violation
from loadtests.auditor.requests import Request, Unreadable, place_of, read_request

Place = tuple[str, int]  # a topic and a partition


@dataclass(frozen=True)
class History:
    """Events are in the order of their partition; `gaps` says which topics forgot something."""

    requests: tuple[Request, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    events: tuple[Event, ...] = ()
    catalogs: Catalogs = field(default_factory=Catalogs)
    counts: Mapping[str, int] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()


def read_history(records: Iterable[Record], ends: Mapping[Place, int] | None = None) -> History:
    """Read the records of all topics, in any order; `ends` has each partition's log end."""
    ends = ends or {}
    by_topic: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_topic[record.topic].append(record)
    for topic in by_topic.values():
        topic.sort(key=lambda record: (record.partition, record.offset))
    events, violations = _read_events(by_topic)
    readings = [read_request(record) for record in by_topic[REQUESTS]]
    return History(
        requests=tuple(one for one in readings if isinstance(one, Request)),
        unreadable=tuple(one for one in readings if isinstance(one, Unreadable)),
        events=tuple(events),
        catalogs=read_catalogs(
            record
            for topic in CATALOGS
            if not _gaps(topic, by_topic[topic], ends)
            for record in by_topic[topic]
        ),
        counts={topic: len(found) for topic, found in by_topic.items()},
        gaps=tuple(
            gap for topic in (REQUESTS, *SAGA_TOPICS) for gap in _gaps(topic, by_topic[topic], ends)
        ),
        violations=tuple(violations),
    )


def _read_events(by_topic: Mapping[str, list[Record]]) -> tuple[list[Event], list[Violation]]:
    events: list[Event] = []
    violations: list[Violation] = []
    first: dict[str, Event] = {}
    for record in (record for topic in SAGA_TOPICS for record in by_topic[topic]):
        try:
            event = read_event(record)
        except UnreadableError as error:
            violations.append(
                Violation(Invariant.DELIVERY, place_of(record), f"unreadable: {error}")
            )
            continue
        known = first.setdefault(event.id, event)
        if known is event:
            events.append(event)
        elif (known.type, known.digest, known.key) != (event.type, event.digest, event.key):
            violations.append(_changed(known, event))
    return events, violations


def _changed(known: Event, event: Event) -> Violation:
    return Violation(
        Invariant.DELIVERY,
        f"enrollment {event.enrollment_id}",
        f"{event.type} at {event.topic}/{event.partition}/{event.offset} has the id and not the "
        f"content of {known.type} at {known.topic}/{known.partition}/{known.offset}",
    )


def _gaps(topic: str, records: list[Record], ends: Mapping[Place, int]) -> list[str]:
    """Compare each partition's end with its number of records: a whole log begins at 0."""
    counts = Counter(record.partition for record in records)
    written = {record.partition: record.offset + 1 for record in records}
    written |= {partition: end for (name, partition), end in ends.items() if name == topic}
    return [
        f"{topic}/{partition}: {written[partition]} records were written, {counts[partition]} "
        "are still there"
        for partition in sorted(written)
        if counts[partition] != written[partition]
    ]
