"""What the ingress measures: each answer, once, whoever gave it, and how it is."""

from collections.abc import Callable, Mapping
from typing import Final

from services.enrollment.ingress.answers import Progress
from services.enrollment.ingress.freshness import Freshness
from services.enrollment.ingress.problems import ProblemType
from services.enrollment.ingress.request_queue import RequestQueue
from services.enrollment.ingress.watching import Watch
from shared import metric_table as table
from shared.metrics import Metrics, one_value

NO_ANSWER: Final = "none"
CLASSES: Final[Mapping[int, str]] = {number: f"{number}xx" for number in range(1, 6)}


class HttpMetrics:
    """Counts answers, and looks at the cache of answers."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._durations = metrics.histogram(table.HTTP_REQUEST_DURATION)
        self._refusals = metrics.counter(table.HTTP_REFUSALS)
        self._lookups = metrics.counter(table.IDEMPOTENCY_LOOKUPS)
        for kind in ProblemType:
            self._refusals.add(0, kind.slug)

    def answered(
        self, method: str, route: str, status: int | None, seconds: float, problem: str | None
    ) -> None:
        """Count an answer; without a status there was none."""
        status_class = NO_ANSWER if status is None else CLASSES[status // 100]
        self._durations.record(seconds, method, route, status_class)
        if problem is not None:
            self._refusals.add(1, problem)

    def looked_up(self, progress: Progress) -> None:
        """Count what the cache knew."""
        self._lookups.add(1, progress.value)

    def show(
        self,
        freshness: Freshness,
        queue: RequestQueue,
        watch: Watch,
        connections: Callable[[], int],
    ) -> None:
        """Show how old the view is, what is unread, and who is there."""
        gauge = self._metrics.gauge
        gauge(table.VIEW_AGE, lambda: one_value(freshness.age_seconds()))
        gauge(table.REQUESTS_UNREAD, lambda: one_value(queue.lag) if queue.is_known else [])
        gauge(table.REQUESTS_UNREAD_OLDEST, lambda: one_value(queue.age_seconds))
        gauge(table.HTTP_WATCHERS, lambda: one_value(watch.watchers))
        gauge(table.HTTP_CONNECTIONS, lambda: one_value(connections()))
