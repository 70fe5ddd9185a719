"""What the topics tell, read once: requests, events without their repeats, catalogs, gaps."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from loadtests.auditor.catalogs import Catalogs
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
    """Read the records of all topics, in any order; `ends` has each partition's log end.

    No record is kept, since a day of them may be larger than the memory.
    """
    requests: list[Request | Unreadable] = []
    events: list[Event | Violation] = []
    catalogs, extents = Catalogs(), _Extents()
    for record in records:
        extents.add(record)
        if record.topic == REQUESTS:
            requests.append(read_request(record))
        elif record.topic in SAGA_TOPICS:
            events.append(_read_event(record))
        else:
            catalogs.add(record)
    gaps = extents.gaps(ends or {})
    first, changed = _without_repeats([one for one in events if isinstance(one, Event)])
    return History(
        requests=tuple(one for one in requests if isinstance(one, Request)),
        unreadable=tuple(one for one in requests if isinstance(one, Unreadable)),
        events=tuple(first),
        catalogs=catalogs.without({topic for topic, _ in gaps}),
        counts=extents.count_topics(),
        gaps=tuple(text for (topic, _), text in gaps.items() if topic not in CATALOGS),
        violations=(*(one for one in events if isinstance(one, Violation)), *changed),
    )


def _read_event(record: Record) -> Event | Violation:
    try:
        return read_event(record)
    except UnreadableError as error:
        return Violation(Invariant.DELIVERY, place_of(record), f"unreadable: {error}")


def _without_repeats(events: list[Event]) -> tuple[list[Event], list[Violation]]:
    """Give the first of every id, in the order of topics and partitions, and what is no repeat."""
    events.sort(key=lambda event: (SAGA_TOPICS.index(event.topic), event.partition, event.offset))
    first: dict[str, Event] = {}
    changed = []
    for event in events:
        known = first.setdefault(event.id, event)
        if (known.type, known.digest, known.key) != (event.type, event.digest, event.key):
            changed.append(_changed(known, event))
    return list(first.values()), changed


def _changed(known: Event, event: Event) -> Violation:
    return Violation(
        Invariant.DELIVERY,
        f"enrollment {event.enrollment_id}",
        f"{event.type} at {event.topic}/{event.partition}/{event.offset} has the id and not the "
        f"content of {known.type} at {known.topic}/{known.partition}/{known.offset}",
    )


class _Extents:
    """How many records each partition has, and where it ends: a whole log begins at 0."""

    def __init__(self) -> None:
        self._counts: Counter[Place] = Counter()
        self._ends: dict[Place, int] = {}

    def add(self, record: Record) -> None:
        place = (record.topic, record.partition)
        self._counts[place] += 1
        self._ends[place] = max(record.offset + 1, self._ends.get(place, 0))

    def count_topics(self) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for (topic, _), count in self._counts.items():
            counts[topic] += count
        return dict(counts)

    def gaps(self, ends: Mapping[Place, int]) -> dict[Place, str]:
        written = self._ends | dict(ends)
        return {
            place: f"{place[0]}/{place[1]}: {written[place]} records were written, "
            f"{self._counts[place]} are still there"
            for place in sorted(written)
            if self._counts[place] != written[place]
        }
