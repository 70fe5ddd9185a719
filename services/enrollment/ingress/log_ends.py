"""Where the logs of topics end now, asked in a thread, for Kafka's client blocks."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from typing import Final

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from shared.identifiers import PartitionKey

LOGGER: Final = logging.getLogger(__name__)
TIMEOUT_SECONDS: Final = 1.0
PARTITIONS_SECONDS: Final = 30.0  # as often it is asked which partitions there are

Ends = dict[PartitionKey, int]


class LogEnds:
    """Asks Kafka, as a guest who joins no group; one question at a time. Connects when first asked.

    Raises KafkaException where it does not answer.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Collection[str],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "nobody",  # the client wants a name
            "enable.auto.commit": False,
            "reconnect.backoff.max.ms": 1000,
            "log_level": 2,
        }
        self._topics = frozenset(topics)
        self._monotonic = monotonic
        self._consumer: Consumer | None = None
        self._asked: list[TopicPartition] = []
        self._asked_until_seconds = 0.0

    async def read(self) -> Ends:
        """Give the next offset of each partition, as of a moment after this call."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> Ends:
        if self._consumer is None:
            self._consumer = Consumer(self._settings, logger=LOGGER)
        if self._monotonic() >= self._asked_until_seconds:
            self._asked = _partitions(self._consumer, self._topics)
            self._asked_until_seconds = self._monotonic() + PARTITIONS_SECONDS
        found: Ends = {}
        for one in self._consumer.offsets_for_times(self._asked, timeout=TIMEOUT_SECONDS):
            if one.error is not None:
                raise KafkaException(one.error)
            found[PartitionKey(one.topic, one.partition)] = one.offset
        return found


def _partitions(consumer: Consumer, topics: frozenset[str]) -> list[TopicPartition]:
    """List partitions, each with the time that stands for the end: so all take one request."""
    known = consumer.list_topics(timeout=TIMEOUT_SECONDS).topics
    missing = sorted(topics - known.keys())
    if missing:
        raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, ", ".join(missing)))
    return [
        TopicPartition(topic, number, OFFSET_END)
        for topic in sorted(topics)
        for number in known[topic].partitions
    ]
