"""What the services said in their topics, kept by enrollment while a test reads along."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from loadtests.day.kafka import consumer_settings, partitions_of
from shared.choreography import CAPACITY_EVENTS, ENROLLMENT_EVENTS, STUDENT_EVENTS

SAGA_TOPICS = (ENROLLMENT_EVENTS.name, STUDENT_EVENTS.name, CAPACITY_EVENTS.name)
READ_AT_ONCE = 5_000


@dataclass(frozen=True)
class Said:
    """One event, as it stands in its topic."""

    id: str
    type: str
    topic: str
    partition: int
    body: dict[str, Any]


class Listener:
    """Reads the topics of the saga from their beginning; of no group, and stores nothing."""

    def __init__(self, kafka_url: str) -> None:
        self._consumer = Consumer(consumer_settings(kafka_url) | {"fetch.wait.max.ms": 20})
        self._said: defaultdict[str, dict[str, Said]] = defaultdict(dict)
        self._consumer.assign(
            [
                TopicPartition(topic, number, OFFSET_BEGINNING)
                for topic in SAGA_TOPICS
                for number in partitions_of(self._consumer, topic)
            ]
        )

    def events_of(self, enrollment_id: UUID) -> Sequence[Said]:
        """Give what was said of an enrollment, each event once; in order within a topic."""
        self._read()
        return list(self._said[str(enrollment_id)].values())

    def all_events(self) -> Sequence[Said]:
        """Give everything that was said, each event once."""
        self._read()
        return [said for story in self._said.values() for said in story.values()]

    def _read(self) -> None:
        while records := self._consumer.consume(READ_AT_ONCE, 0.02):
            for record in records:
                if record.error() is None:
                    self._take(record)

    def _take(self, record: Any) -> None:
        headers = {name: value.decode() for name, value in record.headers() or ()}
        said = Said(
            id=headers["ce_id"],
            type=headers["ce_type"],
            topic=record.topic(),
            partition=record.partition(),
            body=json.loads(record.value()),
        )
        self._said[headers["ce_subject"]].setdefault(said.id, said)

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()
