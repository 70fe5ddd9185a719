"""What a process measures of itself, and shows at /metrics."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psutil

from shared import letter_rows, outbox
from shared import metric_table as table
from shared.breaker import BreakerState
from shared.choreography import Service
from shared.clock import Clock
from shared.database import Database
from shared.identifiers import PartitionKey
from shared.looks import Known
from shared.message import Emitted
from shared.metric_labels import PARKED_REASON
from shared.metrics import Metrics, Values, one_value
from shared.outbox import OutboxRow
from shared.saga_metrics import OutcomeMetrics, StepMetrics, waits_of
from shared.worker import Handled

DEPTH_MAX: Final = 100_000  # counted no further
LETTERS_MAX: Final = 10_000
LATELY_SECONDS: Final = 5.0  # it is read every second


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits in a service's database."""

    outbox_depth: int = 0
    outbox_oldest_seconds: float = 0.0
    dead_letters: int = 0


class Instruments:
    """Counters that the machinery moves, and values that a timer reads once a second."""

    def __init__(self, service: str, instance: str, clock: Clock) -> None:
        self.metrics = metrics = Metrics(service, instance)
        self._clock = clock
        self._read = metrics.counter(table.MESSAGES_READ)
        self._emitted = metrics.counter(table.EVENTS_EMITTED)
        self._published = metrics.counter(table.EVENTS_PUBLISHED)
        self._waits = metrics.histogram(table.OUTBOX_WAIT)
        self._duplicates = metrics.counter(table.INBOX_DUPLICATES)
        self._parked = metrics.counter(table.DEAD_LETTERS_PARKED)
        self._batch_sizes = metrics.histogram(table.BATCH_SIZE)
        self._batch_durations = metrics.histogram(table.BATCH_DURATION)
        self._changes = metrics.counter(table.BREAKER_CHANGES)
        self.loop_delays = metrics.histogram(table.EVENT_LOOP_DELAY)
        self._steps = StepMetrics(metrics) if service in table.SERVICES else None
        self._outcomes = OutcomeMetrics(metrics) if service == Service.ENROLLMENT else None
        self._breakers: dict[str, BreakerState] = {}
        self.database_is_up = False
        self.lag: dict[PartitionKey, int] = {}
        self._waiting = Known[Waiting](LATELY_SECONDS)
        self._letters = Known[letter_rows.Parking](LATELY_SECONDS)
        self._show_gauges()

    def _show_gauges(self) -> None:
        gauge = self.metrics.gauge
        started_seconds = psutil.Process().create_time()
        gauge(table.PROCESS_START_TIME, lambda: one_value(started_seconds))
        gauge(table.DATABASE_UP, lambda: one_value(self.waiting_lately() is not None))
        gauge(table.OUTBOX_DEPTH, lambda: self._of_waiting(lambda one: one.outbox_depth))
        gauge(table.OUTBOX_OLDEST, lambda: self._of_waiting(lambda one: one.outbox_oldest_seconds))
        gauge(table.DEAD_LETTERS, self._show_letters)
        gauge(table.DEAD_LETTERS_OLDEST, self._show_oldest_letter)
        gauge(
            table.CONSUMER_LAG,
            lambda: [(lag, (key.topic, str(key.partition))) for key, lag in self.lag.items()],
        )
        gauge(
            table.BREAKER_OPEN,
            lambda: [
                (float(state is not BreakerState.CLOSED), (name,))
                for name, state in self._breakers.items()
            ],
        )

    def show_pools(self, pools: Mapping[str, Database]) -> None:
        """Show how many connections there may be, and how many are lent."""
        gauge = self.metrics.gauge
        gauge(
            table.DATABASE_POOL_SIZE,
            lambda: [(database.connections_max, (name,)) for name, database in pools.items()],
        )
        gauge(
            table.DATABASE_POOL_USED,
            lambda: [(database.connections_lent, (name,)) for name, database in pools.items()],
        )

    def _of_waiting(self, number: Callable[[Waiting], float]) -> Values:
        waiting = self._waiting.lately()
        return [] if waiting is None else one_value(number(waiting))

    def _show_letters(self) -> Values:
        parking = self._letters.lately()
        if parking is None:
            return []
        none_yet = [(0, (reason,)) for reason in PARKED_REASON.known]
        return [*none_yet, *((count, (reason,)) for reason, count in parking.by_reason.items())]

    def _show_oldest_letter(self) -> Values:
        parking = self._letters.lately()
        return [] if parking is None else one_value(parking.oldest_seconds)

    def batch_handled(self, handled: Handled) -> None:
        """Count what a committed batch came to."""
        folded = handled.folded
        self._read.add(handled.read)
        self._batch_sizes.record(handled.read)
        self._batch_durations.record(handled.seconds)
        self._duplicates.add(folded.duplicates)
        for parked in folded.parked:
            self._parked.add(1, parked.reason)
        if self._steps is not None:
            self._steps.count(folded, self._clock())
        self.count_emitted(folded.emitted)

    def count_emitted(self, emitted: Sequence[Emitted]) -> None:
        """Count events of a committed transaction."""
        self._emitted.add(len(emitted))
        if self._outcomes is not None:
            self._outcomes.count(emitted, self._clock())

    def count_published(self, rows: Sequence[OutboxRow]) -> None:
        """Count events that Kafka has acknowledged."""
        self._published.add(len(rows))
        for seconds, count in waits_of([row.occurred_at for row in rows], self._clock()):
            self._waits.record(seconds, count=count)

    def breaker_made(self, name: str) -> None:
        """Show a breaker from its beginning."""
        self._breakers[name] = BreakerState.CLOSED
        for old, new in _CHANGES:
            self._changes.add(0, name, old.value, new.value)

    def breaker_changed(self, name: str, old: BreakerState, new: BreakerState) -> None:
        """Count a breaker's change, and keep its state."""
        self._breakers[name] = new
        self._changes.add(1, name, old.value, new.value)

    async def read_database(self, database: Database, now: datetime) -> None:
        """Read what waits in the outbox and in the dead letters."""
        async with database.transaction() as transaction:
            depth, oldest = await outbox.depth(transaction, DEPTH_MAX)
            letters = await letter_rows.parking(transaction, now, LETTERS_MAX)
        oldest_seconds = 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())
        self._waiting.learn(Waiting(depth, oldest_seconds, sum(letters.by_reason.values())))
        self._letters.learn(letters)
        self.database_is_up = True

    def waiting_lately(self) -> Waiting | None:
        """Tell what waited a moment ago; None where the database has not said so since."""
        return self._waiting.lately()

    def exposition(self) -> bytes:
        """Write all metrics in Prometheus's text format."""
        return self.metrics.exposition()


_CHANGES: Final = (
    (BreakerState.CLOSED, BreakerState.OPEN),
    (BreakerState.OPEN, BreakerState.HALF_OPEN),
    (BreakerState.HALF_OPEN, BreakerState.OPEN),
    (BreakerState.HALF_OPEN, BreakerState.CLOSED),
)
