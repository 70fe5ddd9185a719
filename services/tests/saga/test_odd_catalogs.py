"""What the guide says of odd entries of the catalogs, seen by a request that comes after them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import Producer

from loadtests.day.kafka import producer_settings
from schemas.tests.guide import odd_catalogs
from services.tests.saga.client import Row, Saga, message, new_name
from services.tests.saga.outcomes import LETTERS, dead_letter, outcome
from shared.choreography import SECTION_CATALOG, STUDENT_CATALOG

GUIDE = odd_catalogs()  # what comes of each case, as the guide has it
ENROLLMENT = "SELECT * FROM enrollment WHERE enrollment_id = $1"
SECTION, STUDENT = SECTION_CATALOG.name, STUDENT_CATALOG.name
VERSION = 5  # of the entries that are in order


@dataclass(frozen=True)
class Entry:
    """One message for a catalog; a body of None is a null value."""

    topic: str
    key: str | None
    body: Row | None


@dataclass(frozen=True)
class Publisher:
    """Who publishes one case: a section and a student of its own."""

    term: str
    name: str

    @property
    def student(self) -> str:
        return f"{self.term}-{self.name}"

    def section(self, version: Any = VERSION + 1, **more: Any) -> Entry:
        """Describe the section, in order but for `more`."""
        body = {
            "version": version,
            "term": self.term,
            "section_id": self.name,
            "course_id": self.name,
            "capacity": 10,
            "credits": 3,
        }
        key = more.pop("key", f"{self.term}/{self.name}")
        return Entry(SECTION, key, body | more)

    def person(self, version: Any = VERSION + 1, **more: Any) -> Entry:
        """Describe the student, in order but for `more`."""
        key = more.pop("key", self.student)
        body = {"version": version, "student_id": self.student, "max_credits": 18}
        return Entry(STUDENT, key, body | more)

    def no_section(self, key: str | None = None) -> Entry:
        """Withdraw the section."""
        return Entry(SECTION, key or f"{self.term}/{self.name}", None)

    def nobody(self) -> Entry:
        """Withdraw the student."""
        return Entry(STUDENT, self.student, None)


HOLD = [{"code": "library-fine"}]
WINDOW = {"opens_at": "2026-01-01T00:00:00", "closes_at": "2100-01-01T00:00:00"}

CASES: dict[str, Callable[[Publisher], Sequence[Entry]]] = {
    "section-newer": lambda p: [p.section(state="closed")],
    "section-same-version": lambda p: [p.section(VERSION, state="closed")],
    "section-older": lambda p: [p.section(VERSION - 1, state="closed")],
    "section-null": lambda p: [p.no_section()],
    "section-null-then-same-version": lambda p: [p.no_section(), p.section(VERSION)],
    "section-null-then-newer": lambda p: [p.no_section(), p.section()],
    "section-null-under-a-bad-key": lambda p: [p.no_section(key="1.26")],
    "section-bad-capacity": lambda p: [p.section(state="closed", capacity="30")],
    "section-bad-meeting": lambda p: [p.section(state="closed", meetings=[{"days": "MWF"}])],
    "section-version-text": lambda p: [p.section(version="v6", state="closed")],
    "section-version-missing": lambda p: [p.section(version=None, state="closed")],
    "section-wrong-key": lambda p: [p.section(state="closed", key="another")],
    "section-no-key": lambda p: [p.section(state="closed", key=None)],
    "student-newer": lambda p: [p.person(holds=HOLD)],
    "student-older": lambda p: [p.person(VERSION - 1, holds=HOLD)],
    "student-null": lambda p: [p.nobody()],
    "student-null-then-newer": lambda p: [p.nobody(), p.person()],
    "student-bad-limit": lambda p: [p.person(max_credits=-1)],
    "student-window-without-zone": lambda p: [p.person(windows=[WINDOW | {"term": p.term}])],
}


@dataclass
class Published:
    """Where the entries of a case came to lie; None is one that Kafka did not take."""

    places: list[tuple[str, int, int] | None] = field(default_factory=list)

    def note(self, error: Any, record: Any) -> None:
        place = (record.topic(), record.partition(), record.offset())
        self.places.append(None if error is not None else place)


def publish(saga: Saga, entries: Mapping[str, Sequence[Entry]]) -> dict[str, Published]:
    """Publish the entries of each case, and tell where they lie."""
    producer = Producer(producer_settings(saga.kafka_url))
    published = {name: Published() for name in entries}
    for name, of_case in entries.items():
        for entry in of_case:
            if entry.key is None:  # Kafka refuses it with all of its batch
                assert producer.flush(30) == 0
            produce(producer, entry, published[name])
            if entry.key is None:
                assert producer.flush(30) == 0
    assert producer.flush(30) == 0
    return published


def produce(producer: Any, entry: Entry, published: Published) -> None:
    value = None if entry.body is None else json.dumps(entry.body)
    event_type = "SectionPublished" if entry.topic == SECTION else "StudentPublished"
    headers = message({"enrollment_id": "", "student_id": ""}, event_type).headers
    producer.produce(entry.topic, value, entry.key, headers=headers, on_delivery=published.note)


async def letters_of(saga: Saga) -> dict[tuple[str, int, int], list[Row]]:
    """Give the dead letters of the catalogs, each with all the services that have it."""
    found: dict[tuple[str, int, int], list[Row]] = {}
    for service in ("student", "capacity"):
        for topic in (SECTION, STUDENT):
            for row in await saga.rows(service, LETTERS, topic):
                place = (topic, row["partition"], row["offset"])
                found.setdefault(place, []).append(row)
    return found


@pytest.fixture(scope="module")
async def results(saga: Saga) -> dict[str, str]:
    """What came of each case, and of the request behind it."""
    term = new_name("term")
    publishers = {name: Publisher(term, name) for name in CASES}
    publish(saga, {n: [p.section(VERSION), p.person(VERSION)] for n, p in publishers.items()})
    published = publish(saga, {name: CASES[name](one) for name, one in publishers.items()})
    await saga.rest()
    asked = {name: saga.request(one.student, term, name) for name, one in publishers.items()}
    await saga.states_of(list(asked.values()))
    letters = await letters_of(saga)
    results = {}
    for name, enrollment in asked.items():
        places = published[name].places
        refused = ["not taken by Kafka"] * places.count(None)
        dead = [dead_letter(row) for place in places if place for row in letters.get(place, [])]
        (row,) = await saga.rows("enrollment", ENROLLMENT, enrollment)
        results[name] = "; ".join([*refused, *dict.fromkeys(dead), outcome(row)])
    return results


@pytest.mark.parametrize("name", CASES)
def test_what_comes_of_an_entry_is_what_the_guide_says(
    results: Mapping[str, str], name: str
) -> None:
    assert results[name] == GUIDE.get(name)


def test_the_guide_has_a_row_for_each_entry_and_no_other() -> None:
    assert set(GUIDE) == set(CASES)
