"""Publishes what a set says anew of sections and students, and waits until it is applied."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from confluent_kafka import Producer

from loadtests.day.applying import wait_until_applied
from loadtests.day.catalogs import CatalogEntry, key_of, read_catalogs_of
from loadtests.day.dataset import Dataset
from loadtests.day.kafka import SOURCE, DayError, producer_settings
from loadtests.day.news import news
from shared.choreography import SECTION_CATALOG, STUDENT_CATALOG, TOPIC_OF
from shared.clock import system_clock
from shared.codec import encode_body, encode_headers
from shared.identifiers import PartitionKey, new_event_id

APPLIED_SECONDS_MAX: Final = 60.0
PART_SIZE: Final = 50_000
DELIVERED_SECONDS_MAX: Final = 60.0
ASK_AGAIN_SECONDS: Final = 0.1

Say = Callable[[str], None]


@dataclass(frozen=True)
class Imported:
    """What an import found in a set, and how much of it was new to the catalogs."""

    term: str
    sections: int
    students: int
    sections_published: int
    students_published: int


def import_datasets(kafka_url: str, datasets: Sequence[Dataset], say: Say) -> Imported:
    """Publish what is new in the sets, and return when the services have applied it.

    What the sets say of a field is the whole truth about it for their keys; a field of which they
    say nothing stays as the topic has it.
    """
    say("reading the catalogs")
    sections, students = new_entries(kafka_url, datasets)
    say(f"publishing {len(sections):,} sections and {len(students):,} students")
    publish_and_wait(kafka_url, [*sections, *students])
    return Imported(
        term=datasets[0].term,
        sections=sum(len(dataset.sections) for dataset in datasets),
        students=sum(len(dataset.students) for dataset in datasets),
        sections_published=len(sections),
        students_published=len(students),
    )


def new_entries(
    kafka_url: str, datasets: Sequence[Dataset]
) -> tuple[list[CatalogEntry], list[CatalogEntry]]:
    """Give the sections and the students of sets of one term that are new to the catalogs."""
    known = read_catalogs_of(kafka_url)
    term = datasets[0].term
    sections = (entry for dataset in datasets for entry in dataset.sections)
    students = (entry for dataset in datasets for entry in dataset.students)
    return (
        list(news(sections, known[SECTION_CATALOG.name], term)),
        list(news(students, known[STUDENT_CATALOG.name], term)),
    )


def publish_and_wait(kafka_url: str, entries: Sequence[CatalogEntry]) -> None:
    """Publish in parts, each of a size that the services apply in much less than the time-out."""
    for first in range(0, max(1, len(entries)), PART_SIZE):
        new_places = publish(kafka_url, entries[first : first + PART_SIZE])
        wait_until_applied(kafka_url, new_places, APPLIED_SECONDS_MAX)


def publish(kafka_url: str, entries: Sequence[CatalogEntry]) -> set[PartitionKey]:
    """Publish catalog entries; returns the partitions that they went to."""
    producer = Producer(producer_settings(kafka_url))
    delivery = _Delivery()
    for entry in entries:
        _produce(producer, entry, delivery)
    if not _flush(producer):
        raise DayError("Kafka did not take the catalogs in time: see `enroll status`, then repeat")
    if delivery.error is not None:
        raise DayError(f"Kafka refused a catalog entry: {delivery.error}")
    return delivery.places


def _flush(producer: Any) -> bool:
    deadline = monotonic() + DELIVERED_SECONDS_MAX
    while producer.flush(ASK_AGAIN_SECONDS) != 0:  # in small steps: Ctrl-C is seen between them
        if monotonic() > deadline:
            return False
    return True


class _Delivery:
    """What became of the entries."""

    def __init__(self) -> None:
        self.places: set[PartitionKey] = set()
        self.error: str | None = None

    def note(self, error: Any, record: Any) -> None:
        if error is not None:
            self.error = str(error)
        else:
            self.places.add(PartitionKey(record.topic(), record.partition()))


def _produce(producer: Any, entry: CatalogEntry, delivery: _Delivery) -> None:
    topic = TOPIC_OF[type(entry)].name
    key = key_of(entry)
    headers = encode_headers(
        event_id=new_event_id(),
        event_type=type(entry).__name__,
        source=SOURCE,
        subject=key,
        occurred_at=system_clock(),
        traceparent=None,
    )
    while True:
        try:
            producer.produce(
                topic, encode_body(entry), key, headers=headers, on_delivery=delivery.note
            )
        except BufferError:  # full; the library gives up what it cannot send within a minute
            producer.poll(ASK_AGAIN_SECONDS)
        else:
            producer.poll(0)
            return
