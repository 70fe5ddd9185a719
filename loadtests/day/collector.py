"""Reads the outcomes of a run's own enrollments, and takes the first one of each."""

import json
from array import array
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from time import perf_counter
from typing import Any, Final

from confluent_kafka import Consumer, TopicPartition

from loadtests.day.kafka import consumer_settings, end_offsets, raise_if_failed
from shared.choreography import ENROLLMENT_EVENTS
from shared.events import EnrollmentCancelled, EnrollmentConfirmed, EnrollmentRejected

READ_AT_ONCE: Final = 1000
GATHER_SECONDS: Final = 0.001
WITHOUT_CODE: Final = "unreadable"
EARLY_MAX: Final = 100_000


class Outcome(StrEnum):
    """How an enrollment ended."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


OUTCOMES: Final = {
    EnrollmentConfirmed.__name__.encode(): Outcome.CONFIRMED,
    EnrollmentRejected.__name__.encode(): Outcome.REJECTED,
    EnrollmentCancelled.__name__.encode(): Outcome.CANCELLED,
}


class Outcomes:
    """The outcomes so far: `decided_at` by the number of the request, 0 where it has none."""

    def __init__(self, enrollment_ids: Sequence[bytes]) -> None:
        self._number_of = {name: number for number, name in enumerate(enrollment_ids)}
        self.decided_at = array("d", bytes(8 * len(enrollment_ids)))
        self.counts: Counter[Outcome] = Counter()
        self.reasons: Counter[str] = Counter()
        self.last_at = 0.0

    @property
    def decided(self) -> int:
        """Count the requests that have an outcome."""
        return self.counts.total()

    @property
    def are_complete(self) -> bool:
        """Tell whether every request has its outcome."""
        return self.decided == len(self.decided_at)

    def take(self, headers: dict[str, bytes], body: bytes, now: float) -> None:
        """Count an event if it is the first outcome of a request of ours."""
        outcome = OUTCOMES.get(headers.get("ce_type", b""))
        number = self._number_of.get(headers.get("ce_subject", b""))
        if outcome is None or number is None or self.decided_at[number]:
            return
        self.decided_at[number] = self.last_at = now
        self.counts[outcome] += 1
        if outcome is Outcome.REJECTED:
            self.reasons.update(reason_codes(body))


class AwaitedOutcomes(Outcomes):
    """The outcomes of requests whose enrollments become known while the run goes on.

    An outcome may be here before the answer that names its enrollment: it is kept until then.
    """

    def __init__(self, requests: int) -> None:
        super().__init__([b""] * requests)
        self._number_of = {}
        self._early: dict[bytes, tuple[dict[str, bytes], bytes, float]] = {}

    def expect(self, number: int, enrollment_id: str) -> None:
        """Say which enrollment a request is about."""
        name = enrollment_id.encode()
        self._number_of[name] = number
        early = self._early.pop(name, None)
        if early is not None:
            self.take(*early)

    def take(self, headers: dict[str, bytes], body: bytes, now: float) -> None:
        """Count an event if it is the first outcome of a request of ours, or may turn out so."""
        name = headers.get("ce_subject", b"")
        if name in self._number_of:
            super().take(headers, body, now)
        elif headers.get("ce_type", b"") in OUTCOMES:
            self._early.setdefault(name, (headers, body, now))
            if len(self._early) > EARLY_MAX:  # of others who enroll at the same time
                del self._early[next(iter(self._early))]


def reason_codes(body: bytes) -> set[str]:
    """Give the codes of a rejection; one that names two full sections counts once."""
    try:
        return {reason["code"] for reason in json.loads(body)["reasons"]}
    except (ValueError, KeyError, TypeError):
        return {WITHOUT_CODE}


class Collector:
    """Reads on from the ends that the topic had when it was made."""

    def __init__(self, kafka_url: str, outcomes: Outcomes) -> None:
        self._consumer: Any = Consumer(consumer_settings(kafka_url))
        self.outcomes = outcomes
        topic = ENROLLMENT_EVENTS.name
        ends = end_offsets(self._consumer, topic)
        self._consumer.assign(
            [TopicPartition(topic, place.partition, end) for place, end in ends.items()]
        )

    def read(self, wait_seconds: float) -> None:
        """Take what has come; wait for a first message no longer than this.

        Where it may wait it also gathers for a moment, which spares the processor a wake-up for
        each message and makes an outcome look at most that moment later.
        """
        first = self._consumer.poll(wait_seconds)
        if first is None:
            return
        self._take([first])
        gather_seconds = min(wait_seconds, GATHER_SECONDS)
        self._take(self._consumer.consume(READ_AT_ONCE, gather_seconds))

    def _take(self, records: Sequence[Any]) -> None:
        now = perf_counter()
        for record in records:
            if record.error() is not None:
                raise_if_failed(record)
            elif record.value() is not None:
                self.outcomes.take(dict(record.headers() or ()), record.value(), now)

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()
