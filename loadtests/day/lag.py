"""How many messages the services have yet to read, asked for beside the run."""

import threading
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException

from loadtests.day.kafka import DayError, consumer_settings, end_offsets
from loadtests.day.readers import Readers
from shared.choreography import TOPICS, Service, subscriptions
from shared.identifiers import PartitionKey

ASK_SECONDS: Final = 1.0
STOP_SECONDS: Final = 6.0


class Lag:
    """The last known lag of all services together, read by a thread of its own.

    `messages` is None while Kafka does not tell.
    """

    def __init__(self, kafka_url: str) -> None:
        self._kafka_url = kafka_url
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lag", daemon=True)
        self.messages: int | None = None
        self._thread.start()

    def close(self) -> None:
        """End the thread, or leave it behind while Kafka does not answer."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        readers = Readers(self._kafka_url)
        consumer: Any = Consumer(consumer_settings(self._kafka_url))
        try:
            while not self._stopping.wait(ASK_SECONDS):
                self.messages = self._read(readers, consumer)
        finally:
            readers.close()
            consumer.close()

    def _read(self, readers: Readers, consumer: Any) -> int | None:
        try:
            ends = {k: v for t in TOPICS for k, v in end_offsets(consumer, t.name).items()}
            return sum(
                behind(ends, readers.stored(service, _read_by(service, ends)))
                for service in Service
            )
        except (DayError, KafkaException):
            return None


def _read_by(service: Service, ends: Mapping[PartitionKey, int]) -> list[PartitionKey]:
    topics = {topic.name for topic in subscriptions(service)}
    return [place for place in ends if place.topic in topics]


def behind(ends: Mapping[PartitionKey, int], stored: Mapping[PartitionKey, int]) -> int:
    """Count the messages between what a group has stored and the ends."""
    return sum(max(0, ends[place] - max(0, offset)) for place, offset in stored.items())
