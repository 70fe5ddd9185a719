"""How many requests wait to be read by the enrollment service, and for how long."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from confluent_kafka import OFFSET_END, Consumer, KafkaException, TopicPartition

from shared.choreography import REQUESTS, Service
from shared.identifiers import PartitionKey
from shared.log_clock import LogClock

LOGGER: Final = logging.getLogger(__name__)
LOOK_SECONDS: Final = 0.5
TIMEOUT_SECONDS: Final = 1.0
OVERDUE_SECONDS: Final = 3.0  # a look takes so long only where Kafka does not answer
JOIN_POLL_SECONDS: Final = 0.5

Offsets = Mapping[PartitionKey, int]


@dataclass(frozen=True, slots=True)
class _Look:
    at_seconds: float
    lag: int = 0
    unread_since_seconds: float | None = None


class RequestQueue(threading.Thread):
    """Looks at the topic of requests and at its reader's offsets, in a thread: the client blocks.

    The reader commits a moment after its work, and a look comes every so often: a request is in
    the lag for up to a second after it was read.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        topic: str = REQUESTS.name,
        group: str = Service.ENROLLMENT,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name="request-queue", daemon=True)
        self._settings = {
            "bootstrap.servers": bootstrap_servers,
            "group.id": group,  # as a guest who never joins: only its offsets are asked for
            "enable.auto.commit": False,
            "reconnect.backoff.max.ms": 1000,
            "log_level": 2,
        }
        self._topic = topic
        self._monotonic = monotonic
        self._stopping = threading.Event()
        self._clock = LogClock()
        self._is_known = False
        self._last = _Look(monotonic())
        self.failure: BaseException | None = None

    @property
    def is_known(self) -> bool:
        """Tell whether a look has succeeded lately."""
        return self._is_known and self._monotonic() < self._last.at_seconds + OVERDUE_SECONDS

    @property
    def lag(self) -> int:
        """Count the requests that were not read when Kafka was last asked."""
        return self._last.lag

    @property
    def age_seconds(self) -> float:
        """Tell how long the oldest unread request has waited: 0 where all are read.

        While Kafka does not answer, what was unread is so still, and nothing comes that could be:
        who is turned away then must hear that it is Kafka, and have its breaker open.
        """
        since_seconds = self._last.unread_since_seconds
        return 0.0 if since_seconds is None else self._monotonic() - since_seconds

    async def watch(self) -> None:
        """Look until cancelled; raises what ends the thread. Never waits for Kafka itself."""
        self.start()
        try:
            while self.is_alive():
                await asyncio.sleep(JOIN_POLL_SECONDS)
        finally:
            self._stopping.set()
        if self.failure is not None:
            raise self.failure

    def run(self) -> None:
        """Look every so often; an error here ends the thread and is kept in `failure`."""
        consumer = Consumer(self._settings, logger=LOGGER)
        try:
            while not self._stopping.is_set():
                self._look_if_possible(consumer)
                self._stopping.wait(LOOK_SECONDS)
        except Exception as error:
            LOGGER.exception("the watch over the queue of requests has failed")
            self.failure = error
        finally:
            consumer.close()

    def _look_if_possible(self, consumer: Consumer) -> None:
        try:
            self._look(consumer)
        except KafkaException as error:
            LOGGER.info("the queue of requests waits for Kafka: %s", error)

    def _look(self, consumer: Consumer) -> None:
        partitions = _partitions(consumer, self._topic)
        positions = _positions(consumer, partitions)
        ends = _ends(consumer, partitions)  # afterwards: else it might have read on meanwhile
        now_seconds = self._monotonic()
        lag = sum(max(0, end - positions[key]) for key, end in ends.items())
        self._clock.note(now_seconds, ends)
        age_seconds = self._clock.age(now_seconds, positions)
        self._last = _Look(now_seconds, lag, now_seconds - age_seconds if lag else None)
        self._is_known = True


def _partitions(consumer: Consumer, topic: str) -> list[TopicPartition]:
    metadata = consumer.list_topics(topic, timeout=TIMEOUT_SECONDS).topics[topic]
    if metadata.error is not None:
        raise KafkaException(metadata.error)
    return [TopicPartition(topic, number) for number in metadata.partitions]


def _positions(consumer: Consumer, partitions: list[TopicPartition]) -> dict[PartitionKey, int]:
    """Give the next offset of the reader; where it has none yet, it begins where the log does."""
    found = {}
    for one in consumer.committed(partitions, timeout=TIMEOUT_SECONDS):
        _raise_error_of(one)
        offset = one.offset
        if offset < 0:
            offset, _ = consumer.get_watermark_offsets(one, timeout=TIMEOUT_SECONDS)
        found[PartitionKey(one.topic, one.partition)] = offset
    return found


def _ends(consumer: Consumer, partitions: list[TopicPartition]) -> dict[PartitionKey, int]:
    """Ask for all ends in one request: as the offsets at the time that stands for the end."""
    asked = [TopicPartition(one.topic, one.partition, OFFSET_END) for one in partitions]
    found = {}
    for one in consumer.offsets_for_times(asked, timeout=TIMEOUT_SECONDS):
        _raise_error_of(one)
        found[PartitionKey(one.topic, one.partition)] = one.offset
    return found


def _raise_error_of(partition: TopicPartition) -> None:
    if partition.error is not None:
        raise KafkaException(partition.error)
