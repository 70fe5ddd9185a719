"""The alerts: each says what is wrong, how long it must last, and which page tells what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from deploy.monitoring.objectives import AVAILABILITY, IN_TIME, Objective, burn
from deploy.monitoring.scale import Scale
from shared.metric_table import (
    BATCH_DURATION,
    BREAKER_OPEN,
    CONSUMER_LAG,
    DATABASE_OLDEST_SNAPSHOT,
    DATABASE_POOL_SIZE,
    DATABASE_POOL_USED,
    DATABASE_UP,
    DEAD_LETTERS,
    ENROLLMENT_OUTCOMES,
    ENROLLMENTS_PENDING_OLDEST,
    EVENT_LOOP_DELAY,
    OUTBOX_OLDEST,
    PARTITIONS_OUT_OF_RANGE,
    PARTITIONS_UNOWNED,
    RELAY_LEASE,
    SAGAS_COMPENSATING_OLDEST,
    SPANS_LOST,
    VIEW_AGE,
)

MINUTE: Final = 60.0
HOUR: Final = 3600.0


class Severity(StrEnum):
    """Whom it calls: a page wakes somebody, a ticket waits for the morning."""

    PAGE = "page"
    TICKET = "ticket"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """A rule of Prometheus; its expression is written for a scale of time."""

    name: str
    severity: Severity
    says: str
    wait_seconds: float
    expression: Callable[[Scale], str]


def _always(text: str) -> Callable[[Scale], str]:
    return lambda _scale: text


def _burns(
    objective: Objective, *, long_seconds: float, short_seconds: float, rate: float
) -> Alert:
    """Warn where the errors allowed for 30 days are used up so many times too quickly.

    The long window sees that it matters, the short one that it still goes on; the pairs are those
    of the Site Reliability Workbook (Google, 2018), chapter 5.
    """
    is_fast = short_seconds <= 5 * MINUTE
    return Alert(
        name=f"{objective.name}Burns{'Fast' if is_fast else 'Slowly'}",
        severity=Severity.PAGE if is_fast else Severity.TICKET,
        says=f"{objective.says}: errors come {rate:g} times as fast as the objective allows",
        wait_seconds=0.0,
        expression=lambda scale: burn(objective, scale, (long_seconds, short_seconds), rate),
    )


ALERTS: Final = (
    Alert(
        name="ProcessAway",
        severity=Severity.PAGE,
        says="{{ $labels.instance }} does not answer",
        wait_seconds=MINUTE,
        expression=_always("up == 0"),
    ),
    Alert(
        name="ReadingStandsStill",
        severity=Severity.PAGE,
        says="{{ $labels.job }} takes no messages though some wait",
        wait_seconds=2 * MINUTE,
        # Batches, not messages: what comes may be nothing that the service reacts to.
        expression=lambda scale: (
            f"sum by (job) ({CONSUMER_LAG.exposed}) > 0 and sum by (job) "
            f"(rate({BATCH_DURATION.exposed}_count[{scale.span(2 * MINUTE)}])) == 0"
        ),
    ),
    Alert(
        name="LagIsHigh",
        severity=Severity.TICKET,
        says="{{ $labels.job }} is {{ $value }} messages behind in {{ $labels.topic }}",
        wait_seconds=5 * MINUTE,
        expression=_always(f"sum by (job, topic) ({CONSUMER_LAG.exposed}) > 5000"),
    ),
    Alert(
        name="PartitionsUnowned",
        severity=Severity.PAGE,
        says="nobody reads {{ $value }} partitions of {{ $labels.job }}",
        wait_seconds=2 * MINUTE,
        expression=_always(f"max by (job) ({PARTITIONS_UNOWNED.exposed}) > 0"),
    ),
    Alert(
        name="PartitionsOutOfRange",
        severity=Severity.PAGE,
        says="{{ $value }} partitions of {{ $labels.job }} wait for an operator: "
        "their next offset is not in the log",
        wait_seconds=MINUTE,
        expression=_always(f"sum by (job) ({PARTITIONS_OUT_OF_RANGE.exposed}) > 0"),
    ),
    Alert(
        name="OutboxIsBlocked",
        severity=Severity.PAGE,
        says="an event of {{ $labels.job }} has waited {{ $value }} s to be published",
        wait_seconds=MINUTE,
        expression=lambda scale: f"max by (job) ({OUTBOX_OLDEST.exposed}) > {scale.limit(30)}",
    ),
    Alert(
        name="NobodyRelays",
        severity=Severity.PAGE,
        says="no process of {{ $labels.job }} publishes its outbox",
        wait_seconds=2 * MINUTE,
        expression=_always(f"max by (job) ({RELAY_LEASE.exposed}) == 0"),
    ),
    Alert(
        name="DatabaseIsAway",
        severity=Severity.PAGE,
        says="the database of {{ $labels.job }} does not answer {{ $labels.instance }}",
        wait_seconds=MINUTE,
        expression=_always(f"{DATABASE_UP.exposed} == 0"),
    ),
    Alert(
        name="BreakerStaysOpen",
        severity=Severity.PAGE,
        says="{{ $labels.instance }} does without {{ $labels.breaker }}",
        wait_seconds=2 * MINUTE,
        expression=_always(f"{BREAKER_OPEN.exposed} == 1"),
    ),
    Alert(
        name="EnrollmentsOverdue",
        severity=Severity.PAGE,
        says="an enrollment has been pending for {{ $value }} s: longer than any deadline",
        wait_seconds=MINUTE,
        expression=lambda scale: (
            f"max by (job) ({ENROLLMENTS_PENDING_OLDEST.exposed}) > {scale.limit(45)}"
        ),
    ),
    Alert(
        name="CompensationsLinger",
        severity=Severity.PAGE,
        says="what an enrollment held has not been given back for {{ $value }} s after its end",
        wait_seconds=MINUTE,
        expression=lambda scale: (
            f"max by (job) ({SAGAS_COMPENSATING_OLDEST.exposed}) > {scale.limit(30)}"
        ),
    ),
    Alert(
        name="DeadlinesPass",
        severity=Severity.TICKET,
        says="{{ $value | humanizePercentage }} of all outcomes are rejections by the deadline",
        wait_seconds=5 * MINUTE,
        expression=lambda scale: (
            f'sum by (job) (rate({ENROLLMENT_OUTCOMES.exposed}{{reason="deadline"}}'
            f"[{scale.span(5 * MINUTE)}])) / sum by (job) "
            f"(rate({ENROLLMENT_OUTCOMES.exposed}[{scale.span(5 * MINUTE)}])) > 0.01"
        ),
    ),
    Alert(
        name="DeadLettersWait",
        severity=Severity.TICKET,
        says="{{ $value }} dead letters of {{ $labels.job }}: {{ $labels.reason }}",
        wait_seconds=5 * MINUTE,
        expression=_always(f"max by (job, reason) ({DEAD_LETTERS.exposed}) > 0"),
    ),
    Alert(
        name="ViewIsOld",
        severity=Severity.PAGE,
        says="what {{ $labels.instance }} shows may be {{ $value }} s old",
        wait_seconds=MINUTE,
        expression=lambda scale: f"{VIEW_AGE.exposed} > {scale.limit(30)}",
    ),
    Alert(
        name="TransactionIsLong",
        severity=Severity.TICKET,
        says="a transaction in the database of {{ $labels.job }} is {{ $value }} s old",
        wait_seconds=2 * MINUTE,
        expression=lambda scale: (
            f"max by (job) ({DATABASE_OLDEST_SNAPSHOT.exposed}) > {scale.limit(120)}"
        ),
    ),
    Alert(
        name="PoolIsUsedUp",
        severity=Severity.TICKET,
        says="{{ $labels.instance }} uses all connections of its pool {{ $labels.pool }}",
        wait_seconds=2 * MINUTE,
        expression=_always(f"{DATABASE_POOL_USED.exposed} >= {DATABASE_POOL_SIZE.exposed}"),
    ),
    Alert(
        name="EventLoopIsLate",
        severity=Severity.TICKET,
        says="one in a hundred timers of {{ $labels.instance }} fires {{ $value }} s late",
        wait_seconds=5 * MINUTE,
        expression=lambda scale: (
            f"histogram_quantile(0.99, sum by (job, instance, le) "
            f"(rate({EVENT_LOOP_DELAY.exposed}_bucket[{scale.span(5 * MINUTE)}]))) > 0.5"
        ),
    ),
    Alert(
        name="SpansAreLost",
        severity=Severity.TICKET,
        says="the collector does not take the spans of {{ $labels.instance }}",
        wait_seconds=10 * MINUTE,
        expression=lambda scale: f"rate({SPANS_LOST.exposed}[{scale.span(10 * MINUTE)}]) > 0",
    ),
    *(
        _burns(objective, long_seconds=long, short_seconds=short, rate=rate)
        for objective in (IN_TIME, AVAILABILITY)
        for long, short, rate in ((HOUR, 5 * MINUTE, 14.4), (6 * HOUR, 30 * MINUTE, 6.0))
    ),
)
