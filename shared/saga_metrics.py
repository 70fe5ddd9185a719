"""What is measured of sagas once a batch is committed: outcomes, and how long steps took."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from shared.choreography import FROM_OUTSIDE
from shared.codec import occurred_at
from shared.events import (
    EnrollmentCancelled,
    EnrollmentConfirmed,
    EnrollmentRejected,
    Event,
    ReasonCode,
)
from shared.message import Emitted, Message
from shared.metric_labels import WHILE_CONFIRMED, WHILE_PENDING, WITHOUT_REASON
from shared.metric_table import ENROLLMENT_DURATION, ENROLLMENT_OUTCOMES, STEP_DURATION
from shared.metrics import Metrics
from shared.reaction import Folded

Outcome = tuple[str, str]  # and its reason

CONFIRMED: Final[Outcome] = ("confirmed", WITHOUT_REASON)
_FROM_THE_START: Final[Sequence[Outcome]] = (
    CONFIRMED,
    ("cancelled", WHILE_PENDING),
    ("cancelled", WHILE_CONFIRMED),
    *(("rejected", code.value) for code in ReasonCode),
)


class StepMetrics:
    """How long the steps of this service took."""

    def __init__(self, metrics: Metrics) -> None:
        self._durations = metrics.histogram(STEP_DURATION)

    def count(self, folded: Folded, now: datetime) -> None:
        """Count the answers of a committed batch: what came together is looked at once."""
        alike: dict[tuple[object, object], tuple[Message, int]] = {}
        for message, emitted in folded.caused:
            if emitted:
                key = _kind_and_time(message)
                first, count = alike.get(key, (message, 0))
                alike[key] = (first, count + 1)
        for (kind, _), (message, count) in alike.items():
            at = occurred_at(message)
            if isinstance(kind, bytes) and at is not None:
                self._durations.record(seconds_since(at, now), kind.decode(), count=count)


def _kind_and_time(message: Message) -> tuple[object, object]:
    headers = dict(message.headers)
    at = message.logged_ms if message.topic in FROM_OUTSIDE else headers.get("ce_time")
    return headers.get("ce_type"), at


class OutcomeMetrics:
    """The outcomes of enrollments, and how long they took."""

    def __init__(self, metrics: Metrics) -> None:
        self._outcomes = metrics.counter(ENROLLMENT_OUTCOMES)
        self._durations = metrics.histogram(ENROLLMENT_DURATION)
        for outcome in _FROM_THE_START:
            self._outcomes.add(0, *outcome)

    def count(self, emitted: Iterable[Emitted], now: datetime) -> None:
        """Count the outcomes among committed events: those that began together at once."""
        alike = Counter(
            [
                (find(one.event), one.since)
                for one in emitted
                if (find := _FIND.get(type(one.event)))
            ]
        )
        for ((name, reason), since), count in alike.items():
            self._outcomes.add(count, name, reason)
            if since is not None and reason != WHILE_CONFIRMED:
                self._durations.record(seconds_since(since, now), name, count=count)


def _of_rejection(event: EnrollmentRejected) -> Outcome:
    return "rejected", str(event.reasons[0].code) if event.reasons else WITHOUT_REASON


def _of_cancellation(event: EnrollmentCancelled) -> Outcome:
    return "cancelled", WHILE_CONFIRMED if event.was == "confirmed" else WHILE_PENDING


# By type, for isinstance on models costs ten times as much.
_FIND: Final[Mapping[type[Event], Callable[[Any], Outcome]]] = {
    EnrollmentConfirmed: lambda _event: CONFIRMED,
    EnrollmentRejected: _of_rejection,
    EnrollmentCancelled: _of_cancellation,
}


def seconds_since(at: datetime, now: datetime) -> float:
    """Tell how long ago it was; never less than nothing, whatever clocks say."""
    return max(0.0, (now - at).total_seconds())


def waits_of(times: Sequence[datetime], now: datetime) -> list[tuple[float, int]]:
    """Tell how long each has waited; what came together is told once, with its number."""
    return [(seconds_since(at, now), count) for at, count in Counter(times).items()]
