"""Publishes finished messages on schedule, or as fast as Kafka takes them."""

from array import array
from math import ceil
from time import perf_counter
from typing import Any, Final

from confluent_kafka import Producer

from loadtests.day.kafka import Settings, partitions_of, producer_settings
from loadtests.day.requests import Batch
from shared.choreography import REQUESTS

BURST_MAX: Final = 500
QUEUE_MAX: Final = 20_000
SLOW_RATE_MAX: Final = 500.0
SLOW_TICK_SECONDS: Final = 0.001
TICK_SECONDS: Final = 0.01  # a few messages at a time make fewer and larger requests
FULL_WAIT_SECONDS: Final = 0.001
CLOSE_SECONDS_MAX: Final = 1.0
WARM_UP_SECONDS: Final = 0.7  # the library asks twice a second for its producer's id


class Publisher:
    """Sends each message once; `started_at` says from when the latency of each counts."""

    def __init__(self, kafka_url: str, batch: Batch, rate: float | None) -> None:
        self._producer: Any = Producer(producer_settings(kafka_url) | _settings(rate))
        self._batch = batch
        self._rate = rate
        is_slow = rate is not None and rate <= SLOW_RATE_MAX
        self._tick_seconds = SLOW_TICK_SECONDS if is_slow else TICK_SECONDS
        self._first_at = 0.0
        self.last_at = 0.0
        self.started_at = array("d")
        self.not_delivered = 0
        self.error = ""

    @property
    def sent(self) -> int:
        """Count what was handed over to the client library."""
        return len(self.started_at)

    @property
    def is_done(self) -> bool:
        """Tell whether that is everything."""
        return self.sent == len(self._batch.messages)

    @property
    def is_behind(self) -> bool:
        """Tell whether more is due now."""
        return self.sent < self._due()

    def start(self) -> float:
        """Begin the schedule, once the client library is ready to send without a wait."""
        partitions_of(self._producer, REQUESTS.name)
        self._producer.poll(WARM_UP_SECONDS)
        self._first_at = self.last_at = perf_counter()
        return self._first_at

    def send_due(self) -> None:
        """Send what is due and has room, and hear of failed deliveries."""
        try:
            for number in range(self.sent, min(self._due(), self.sent + BURST_MAX)):
                self._send(number)
        except BufferError:  # the queue is full: the rest goes next time
            self._producer.poll(FULL_WAIT_SECONDS)
        self._producer.poll(0)

    def seconds_until_due(self) -> float:
        """Tell how long there is nothing to send, until the next tick."""
        if self._rate is None:
            return 0.0
        scheduled_seconds = self._scheduled_at(self.sent) - self._first_at
        ticks = ceil(scheduled_seconds / self._tick_seconds)
        return max(0.0, self._first_at + ticks * self._tick_seconds - perf_counter())

    def _due(self) -> int:
        everything = len(self._batch.messages)
        if self._rate is None:
            return everything
        elapsed_seconds = perf_counter() - self._first_at
        elapsed_seconds -= elapsed_seconds % self._tick_seconds
        return min(everything, int(elapsed_seconds * self._rate) + 1)

    def _scheduled_at(self, number: int) -> float:
        return perf_counter() if self._rate is None else self._first_at + number / self._rate

    def _send(self, number: int) -> None:
        message = self._batch.messages[number]
        scheduled_at = self._scheduled_at(number)
        self._producer.produce(
            REQUESTS.name,
            message.body,
            message.key,
            headers=self._batch.headers_of(message),
            on_delivery=self._note_failure,
        )
        self.started_at.append(scheduled_at)
        self.last_at = scheduled_at

    def _note_failure(self, error: Any, _: Any) -> None:
        if error is not None:
            self.not_delivered += 1
            self.error = str(error)

    def close(self) -> None:
        """Forget what was not sent; what was sent, Kafka has."""
        self._producer.purge()
        self._producer.flush(CLOSE_SECONDS_MAX)


def _settings(rate: float | None) -> Settings:
    return {
        "queue.buffering.max.messages": QUEUE_MAX,
        "delivery.report.only.error": True,
        "linger.ms": 5 if rate is None else 1,
    }
