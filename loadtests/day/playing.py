"""One loop that publishes a run's requests, reads their outcomes, and says how far it is."""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from loadtests.day.collector import Collector, Outcome, Outcomes
from loadtests.day.lag import Lag
from loadtests.day.publisher import Publisher
from loadtests.day.requests import Batch

PROGRESS_SECONDS: Final = 1.0
SHORTEST_WAIT_SECONDS: Final = 0.001
LONGEST_WAIT_SECONDS: Final = 0.02


@dataclass(frozen=True)
class Progress:
    """How far a run has come; `lag` is None while Kafka has not told."""

    elapsed_seconds: float
    sent: int
    decided_per_second: float
    confirmed: int
    rejected: int
    in_flight: int
    lag: int | None


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Played:
    """What came of a run: when each request began, its outcome, and how long all took."""

    started_at: list[float]
    outcomes: Outcomes
    first_at: float
    ended_at: float
    not_delivered: int
    delivery_error: str


def play(
    kafka_url: str,
    batch: Batch,
    *,
    rate: float | None,
    patience_seconds: float,
    on_progress: OnProgress,
) -> Played:
    """Publish everything and wait for the outcomes, until none has come for `patience_seconds`."""
    outcomes = Outcomes([message.enrollment_id for message in batch.messages])
    collector = Collector(kafka_url, outcomes)
    publisher = Publisher(kafka_url, batch, rate)
    lag = Lag(kafka_url)
    news = News(lag, on_progress)
    gc.freeze()  # what was prepared stays to the end: there is nothing in it to collect
    try:
        first_at = publisher.start()
        while not _is_over(publisher, outcomes, patience_seconds):
            publisher.send_due()
            collector.read(_wait_seconds(publisher))
            news.tell_if_due(publisher.sent, outcomes)
        return Played(
            started_at=publisher.started_at.tolist(),
            outcomes=outcomes,
            first_at=first_at,
            ended_at=perf_counter(),
            not_delivered=publisher.not_delivered,
            delivery_error=publisher.error,
        )
    finally:
        gc.unfreeze()
        publisher.close()
        collector.close()
        lag.close()


def _is_over(publisher: Publisher, outcomes: Outcomes, patience_seconds: float) -> bool:
    if publisher.is_done and outcomes.are_complete:
        return True
    return perf_counter() - max(outcomes.last_at, publisher.last_at) > patience_seconds


def _wait_seconds(publisher: Publisher) -> float:
    if publisher.is_done:
        return LONGEST_WAIT_SECONDS
    if publisher.is_behind:
        return 0.0
    return min(LONGEST_WAIT_SECONDS, max(SHORTEST_WAIT_SECONDS, publisher.seconds_until_due()))


class News:
    """Says once a second how far the run is."""

    def __init__(self, lag: Lag, on_progress: OnProgress) -> None:
        self._lag = lag
        self._on_progress = on_progress
        self._first_at = self._told_at = perf_counter()
        self._decided = 0

    def tell_if_due(self, sent: int, outcomes: Outcomes) -> None:
        """Say it, if a second has gone by."""
        now = perf_counter()
        elapsed = now - self._told_at
        if elapsed < PROGRESS_SECONDS:
            return
        self._on_progress(
            Progress(
                elapsed_seconds=now - self._first_at,
                sent=sent,
                decided_per_second=(outcomes.decided - self._decided) / elapsed,
                confirmed=outcomes.counts[Outcome.CONFIRMED],
                rejected=outcomes.counts[Outcome.REJECTED],
                in_flight=sent - outcomes.decided,
                lag=self._lag.messages,
            )
        )
        self._told_at, self._decided = now, outcomes.decided
