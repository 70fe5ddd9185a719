"""Reads requests and outcomes beside a load, by a client of its own."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from time import monotonic, time
from typing import Any, Final

from confluent_kafka import Consumer, TopicPartition

from loadtests.day.kafka import DayError, consumer_settings, end_offsets, raise_if_failed
from loadtests.jmeter.sightings import Sightings
from shared.choreography import ENROLLMENT_EVENTS, REQUESTS
from shared.identifiers import PartitionKey

TOPICS: Final = (REQUESTS.name, ENROLLMENT_EVENTS.name)
READ_AT_ONCE: Final = 1000
WAIT_SECONDS: Final = 0.1
GATHER_SECONDS: Final = 0.001
LAST_READ_SECONDS_MAX: Final = 60.0


@contextmanager
def observed(kafka_url: str) -> Iterator[Sightings]:
    """Observe for the block, then read on to the ends that the topics have after it."""
    observer = _Observer(kafka_url)
    with ThreadPoolExecutor(1, "observer") as pool:
        reading = pool.submit(observer.read_until_over)
        try:
            yield observer.sightings
        finally:
            observer.is_over.set()
        reading.result()


class _Observer:
    """Reads from the ends that the topics have when it is made."""

    def __init__(self, kafka_url: str) -> None:
        self.sightings = Sightings()
        self.is_over = Event()
        self._consumer: Any = Consumer(consumer_settings(kafka_url))
        self._next = self._ends()
        self._consumer.assign([TopicPartition(*place, end) for place, end in self._next.items()])

    def _ends(self) -> dict[PartitionKey, int]:
        return {k: v for topic in TOPICS for k, v in end_offsets(self._consumer, topic).items()}

    def read_until_over(self) -> None:
        """Read until told that it is over, and to the end from there."""
        try:
            while not self.is_over.is_set():
                self._read()
            self._read_to(self._ends())
        finally:
            self._consumer.close()

    def _read_to(self, ends: Mapping[PartitionKey, int]) -> None:
        deadline = monotonic() + LAST_READ_SECONDS_MAX
        while any(self._next[place] < end for place, end in ends.items()):
            if monotonic() > deadline:
                raise DayError("the last outcomes could not be read in time: see `enroll status`")
            self._read()

    def _read(self) -> None:
        first = self._consumer.poll(WAIT_SECONDS)
        if first is not None:
            self._take([first, *self._consumer.consume(READ_AT_ONCE, GATHER_SECONDS)])

    def _take(self, records: Sequence[Any]) -> None:
        now_ms = time() * 1000
        for record in records:
            if record.error() is not None:
                raise_if_failed(record)
                continue
            self._next[PartitionKey(record.topic(), record.partition())] = record.offset() + 1
            _, logged_ms = record.timestamp()
            self.sightings.take(dict(record.headers() or ()), logged_ms, now_ms)
