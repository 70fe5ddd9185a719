"""What a process measures of itself, and shows at /metrics."""

import math
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared import outbox
from shared.breaker import BreakerState
from shared.database import Database
from shared.identifiers import PartitionKey
from shared.metrics import Metrics
from shared.worker import Handled

DEPTH_MAX: Final = 100_000  # counted no further
LATELY_SECONDS: Final = 5.0  # it is read every second


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits in a service's database."""

    outbox_depth: int = 0
    outbox_oldest_seconds: float = 0.0
    dead_letters: int = 0


class Instruments:
    """Counters that the machinery moves, and values that a timer reads once a second."""

    def __init__(self, service: str, instance: str) -> None:
        self._metrics = Metrics(service, instance)
        meter = self._metrics.meter
        self._read = meter.create_counter("messages_read", "1", "Messages in committed batches")
        self._emitted = meter.create_counter("events_emitted", "1", "Events put into the outbox")
        self._published = meter.create_counter("events_published", "1", "Events acknowledged")
        self._duplicates = meter.create_counter("inbox_duplicates", "1", "Events taken before")
        self._parked = meter.create_counter("dead_letters_parked", "1", "Messages parked")
        self._batches = meter.create_histogram("batch_size", "1", "Messages of a batch")
        self._changes = meter.create_counter("breaker_changes", "1", "Changes of a breaker's state")
        self._breakers: dict[str, BreakerState] = {}
        self.database_is_up = False
        self.lag: dict[PartitionKey, int] = {}
        self.waiting = Waiting()  # as the database said last
        self._read_at_seconds = -math.inf
        self._show_gauges()

    def _show_gauges(self) -> None:
        gauge = self._metrics.gauge
        gauge(
            "outbox_depth",
            "1",
            "Events that wait to be published",
            lambda: [(self.waiting.outbox_depth, {})],
        )
        gauge(
            "outbox_oldest",
            "s",
            "Age of the oldest of them",
            lambda: [(self.waiting.outbox_oldest_seconds, {})],
        )
        gauge("dead_letters", "1", "Messages parked now", lambda: [(self.waiting.dead_letters, {})])
        gauge(
            "consumer_lag",
            "1",
            "Messages not yet committed",
            lambda: [
                (lag, {"topic": key.topic, "partition": str(key.partition)})
                for key, lag in self.lag.items()
            ],
        )
        gauge(
            "breaker_open",
            "1",
            "1 while a breaker is not closed",
            lambda: [
                (float(state is not BreakerState.CLOSED), {"breaker": name})
                for name, state in self._breakers.items()
            ],
        )

    def batch_handled(self, handled: Handled) -> None:
        """Count what a batch came to."""
        self._read.add(handled.read)
        self._batches.record(handled.read)
        self._emitted.add(len(handled.folded.emitted))
        self._duplicates.add(handled.folded.duplicates)
        for parked in handled.folded.parked:
            self._parked.add(1, {"reason": parked.reason})

    def count_published(self, count: int) -> None:
        """Count events that Kafka has acknowledged."""
        self._published.add(count)

    def breaker_changed(self, name: str, old: BreakerState, new: BreakerState) -> None:
        """Count a breaker's change, and keep its state."""
        self._breakers[name] = new
        self._changes.add(1, {"breaker": name, "from": old.value, "to": new.value})

    async def read_database(self, database: Database, now: datetime) -> None:
        """Read what waits in the outbox and in the dead letters."""
        async with database.transaction() as transaction:
            depth, oldest = await outbox.depth(transaction, DEPTH_MAX)
            rows = await transaction.fetch("SELECT count(*) AS parked FROM dead_letter")
        oldest_seconds = 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())
        self.waiting = Waiting(depth, oldest_seconds, rows[0]["parked"])
        self._read_at_seconds = time.monotonic()
        self.database_is_up = True

    def waiting_lately(self) -> Waiting | None:
        """Tell what waited a moment ago; None where the database has not said so since."""
        is_new = time.monotonic() < self._read_at_seconds + LATELY_SECONDS
        return self.waiting if is_new else None

    def exposition(self) -> bytes:
        """Write all metrics in Prometheus's text format."""
        return self._metrics.exposition()
