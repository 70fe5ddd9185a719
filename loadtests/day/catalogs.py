"""The catalogs as their topics have them."""

from collections.abc import Iterator
from time import monotonic
from typing import Any, Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from loadtests.day.kafka import DayError, consumer_settings, partitions_of, raise_if_failed
from shared.choreography import TOPICS, Topic
from shared.codec import decode, headers_of
from shared.events import (
    Event,
    SectionPublished,
    SectionWithdrawn,
    StudentPublished,
    StudentWithdrawn,
)
from shared.message import Arrival, Message

CATALOGS: Final = tuple(topic for topic in TOPICS if topic.is_catalog)
READ_SECONDS_MAX: Final = 60.0
READ_AT_ONCE: Final = 1000
POLL_SECONDS: Final = 0.1

CatalogEntry = SectionPublished | StudentPublished


class Known(NamedTuple):
    """What a topic says of one key: its highest version; no entry where it was withdrawn."""

    version: int
    entry: CatalogEntry | None


def key_of(entry: Event) -> str:
    """Give the key that an entry has in its topic."""
    match entry:
        case SectionPublished(term=term, section_id=section_id):
            return f"{term}/{section_id}"
        case SectionWithdrawn(key=key):
            return f"{key.term}/{key.section_id}"
        case StudentPublished(student_id=student_id) | StudentWithdrawn(student_id=student_id):
            return student_id
        case _:
            raise TypeError(f"{type(entry).__name__} is in no catalog")


def learn(known: dict[str, Known], event: Event) -> None:
    """Take over one more event of a catalog, as the services do."""
    key = key_of(event)
    before = known.get(key)
    match event:
        case SectionPublished() | StudentPublished():
            if before is None or event.version > before.version:
                known[key] = Known(event.version, event)
        case _:
            known[key] = Known(before.version if before else 0, None)


def read_catalogs_of(kafka_url: str) -> dict[str, dict[str, Known]]:
    """Read both catalog topics to their end; bounded by a minute."""
    return {topic.name: _read(kafka_url, topic) for topic in CATALOGS}


def _read(kafka_url: str, topic: Topic) -> dict[str, Known]:
    known: dict[str, Known] = {}
    for message in _messages(kafka_url, topic.name):
        arrival = decode(message, topic.events)
        if isinstance(arrival, Arrival):  # what cannot be read, no service applies either
            learn(known, arrival.event)
    return known


def _messages(kafka_url: str, topic: str) -> Iterator[Message]:
    settings = {"enable.partition.eof": True, "fetch.wait.max.ms": 10}
    consumer = Consumer(consumer_settings(kafka_url) | settings)
    try:
        partitions = partitions_of(consumer, topic)
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        yield from _to_the_end(consumer, topic, len(partitions))
    finally:
        consumer.close()


def _to_the_end(consumer: Any, topic: str, partitions: int) -> Iterator[Message]:
    ended: set[int] = set()
    deadline = monotonic() + READ_SECONDS_MAX
    while len(ended) < partitions:
        if monotonic() > deadline:
            raise DayError(f"{topic} could not be read to its end: see `enroll status`")
        for record in consumer.consume(READ_AT_ONCE, POLL_SECONDS):
            error = record.error()
            if error is None:
                yield _message(record)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  its public name
                ended.add(record.partition())
            else:
                raise_if_failed(record)


def _message(record: Any) -> Message:
    return Message(
        topic=record.topic(),
        partition=record.partition(),
        offset=record.offset(),
        key=record.key(),
        value=record.value(),
        headers=headers_of(record),
    )
