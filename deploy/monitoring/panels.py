"""What the dashboard shows: rows of panels, each a question with the expressions that answer it."""

from dataclasses import dataclass
from typing import Final

from deploy.monitoring.objectives import AVAILABILITY, IN_TIME
from shared import metric_table as m
from shared.metric_types import Histogram, Metric

SPAN: Final = "$__rate_interval"  # Grafana's own: as long as what is seen allows


@dataclass(frozen=True)
class Series:
    """One expression, and how its lines are named."""

    expression: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """A drawing of some series in one unit, as Grafana names units."""

    title: str
    unit: str
    series: tuple[Series, ...]


@dataclass(frozen=True)
class Row:
    """Panels that belong together."""

    title: str
    panels: tuple[Panel, ...]


def _rate(metric: Metric, *by: str) -> Series:
    return Series(f"sum by ({', '.join(by)}) (rate({metric.exposed}[{SPAN}]))", _legend(by))


def _of_requests(*by: str) -> Series:
    name = f"{m.HTTP_REQUEST_DURATION.exposed}_count"
    return Series(f"sum by ({', '.join(by)}) (rate({name}[{SPAN}]))", _legend(by))


def _sum(metric: Metric, *by: str) -> Series:
    return Series(f"sum by ({', '.join(by)}) ({metric.exposed})", _legend(by))


def _most(metric: Metric, *by: str) -> Series:
    return Series(f"max by ({', '.join(by)}) ({metric.exposed})", _legend(by))


def _quantile(share: float, metric: Histogram, *by: str) -> Series:
    buckets = f"sum by ({', '.join((*by, 'le'))}) (rate({metric.exposed}_bucket[{SPAN}]))"
    name = f"p{share * 100:g} {_legend(by)}".strip()
    return Series(f"histogram_quantile({share}, {buckets})", name)


def _legend(by: tuple[str, ...]) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in by)


ROWS: Final = (
    Row(
        "Students",
        (
            Panel("Outcomes", "ops", (_rate(m.ENROLLMENT_OUTCOMES, "outcome", "reason"),)),
            Panel(
                "From the request to the outcome",
                "s",
                tuple(_quantile(share, m.ENROLLMENT_DURATION) for share in (0.5, 0.95, 0.99)),
            ),
            Panel(
                IN_TIME.says,
                "percentunit",
                (Series(f"1 - {IN_TIME.bad(SPAN)} / {IN_TIME.all(SPAN)}", "in time"),),
            ),
            Panel(
                "Pending, and giving back",
                "short",
                (
                    Series(m.ENROLLMENTS_PENDING.exposed, "pending"),
                    Series(m.ENROLLMENTS_PENDING_LONG.exposed, "for long"),
                    Series(f"max({m.SAGAS_COMPENSATING.exposed})", "giving back"),
                ),
            ),
            Panel(
                "Seats of open sections",
                "short",
                (
                    Series(f"max({m.SEATS_CAPACITY.exposed})", "all"),
                    Series(f"max({m.SEATS_RESERVED.exposed})", "reserved"),
                ),
            ),
        ),
    ),
    Row(
        "Stages",
        (
            Panel("Each step, p95", "s", (_quantile(0.95, m.STEP_DURATION, "job", "event"),)),
            Panel("Until published, p95", "s", (_quantile(0.95, m.OUTBOX_WAIT, "job"),)),
            Panel("Batches, p95", "s", (_quantile(0.95, m.BATCH_DURATION, "job"),)),
        ),
    ),
    Row(
        "Read and say",
        (
            Panel("Lag", "short", (_sum(m.CONSUMER_LAG, "job", "topic"),)),
            Panel("Messages read", "ops", (_rate(m.MESSAGES_READ, "job"),)),
            Panel("Events published", "ops", (_rate(m.EVENTS_PUBLISHED, "job"),)),
            Panel("Events that came again", "ops", (_rate(m.INBOX_DUPLICATES, "job"),)),
            Panel("Outbox", "short", (_most(m.OUTBOX_DEPTH, "job"),)),
            Panel("Oldest in the outbox", "s", (_most(m.OUTBOX_OLDEST, "job"),)),
        ),
    ),
    Row(
        "Trouble",
        (
            Panel("Dead letters", "short", (_most(m.DEAD_LETTERS, "job", "reason"),)),
            Panel(
                "Breakers that are not closed", "short", (_most(m.BREAKER_OPEN, "job", "breaker"),)
            ),
            Panel(
                "Partitions without an owner, or for an operator",
                "short",
                (
                    _most(m.PARTITIONS_UNOWNED, "job"),
                    _sum(m.PARTITIONS_OUT_OF_RANGE, "job"),
                ),
            ),
            Panel("Databases that answer", "short", (_sum(m.DATABASE_UP, "job", "instance"),)),
        ),
    ),
    Row(
        "HTTP",
        (
            Panel("Requests", "ops", (_of_requests("route", "status"),)),
            Panel("Answers, p95", "s", (_quantile(0.95, m.HTTP_REQUEST_DURATION, "route"),)),
            Panel(
                AVAILABILITY.says,
                "percentunit",
                (Series(f"1 - {AVAILABILITY.bad(SPAN)} / {AVAILABILITY.all(SPAN)}", "available"),),
            ),
            Panel("Refusals", "ops", (_rate(m.HTTP_REFUSALS, "problem"),)),
            Panel("Looked up in the cache", "ops", (_rate(m.IDEMPOTENCY_LOOKUPS, "result"),)),
            Panel("Age of what is shown", "s", (_most(m.VIEW_AGE, "instance"),)),
            Panel(
                "Oldest request that nobody has read",
                "s",
                (_most(m.REQUESTS_UNREAD_OLDEST, "job"),),
            ),
        ),
    ),
    Row(
        "Processes",
        (
            Panel("Event loops late, p99", "s", (_quantile(0.99, m.EVENT_LOOP_DELAY, "instance"),)),
            Panel("Connections lent", "short", (_sum(m.DATABASE_POOL_USED, "instance", "pool"),)),
            Panel("Oldest transaction", "s", (_most(m.DATABASE_OLDEST_TRANSACTION, "job"),)),
            Panel("Spans that were lost", "ops", (_rate(m.SPANS_LOST, "instance"),)),
        ),
    ),
)
