"""What whoever is on call asks of the system, and which expression of Prometheus answers it."""

from typing import Final, NamedTuple

from shared import metric_table as table
from shared.metric_types import Metric


class Question(NamedTuple):
    """A question, and the expression that is not empty where the answer is yes."""

    asks: str
    expression: str


def _ratio(part: str, whole: Metric, selector: str = "") -> str:
    return f"{part} / sum(rate({whole.exposed}_count{{{selector}}}[5m]))"


_POST: Final = 'method="POST",route="/enrollments"'
_IN_TIME: Final = (
    f'sum(rate({table.ENROLLMENT_DURATION.exposed}_bucket{{le="{table.OBJECTIVE_SECONDS}"}}[5m]))'
)
_POST_FAILED: Final = (
    f'sum(rate({table.HTTP_REQUEST_DURATION.exposed}_count{{{_POST},status="5xx"}}[5m]))'
)
_DEADLINES: Final = f'sum(rate({table.ENROLLMENT_OUTCOMES.exposed}{{reason="deadline"}}[5m]))'
_LOOP_LATE: Final = (
    f"histogram_quantile(0.99, rate({table.EVENT_LOOP_DELAY.exposed}_bucket[5m])) > 0.25"
)

QUESTIONS: Final = (
    Question("Is a process down, or does it not answer?", "up == 0"),
    Question(
        "Which share of outcomes came within a second?", _ratio(_IN_TIME, table.ENROLLMENT_DURATION)
    ),
    Question(
        "Which share of requests by HTTP was not taken in?",
        _ratio(_POST_FAILED, table.HTTP_REQUEST_DURATION, _POST),
    ),
    Question(
        "Are enrollments rejected because they were not decided in time?",
        f"{_DEADLINES} / sum(rate({table.ENROLLMENT_OUTCOMES.exposed}[5m]))",
    ),
    Question("Is something pending for long?", f"{table.ENROLLMENTS_PENDING_LONG.exposed} > 0"),
    Question(
        "Does a service take nothing though messages wait?",
        f"sum by (job) ({table.CONSUMER_LAG.exposed}) > 0 "
        f"and sum by (job) (rate({table.MESSAGES_READ.exposed}[1m])) == 0",
    ),
    Question("Is a batch at work for long?", f"{table.BATCH_RUNNING.exposed} > 10"),
    Question("Do requests wait to be read?", f"{table.REQUESTS_UNREAD_OLDEST.exposed} > 5"),
    Question("Does an outbox not drain?", f"{table.OUTBOX_OLDEST.exposed} > 10"),
    Question("Does nobody relay?", f"sum by (job) ({table.RELAY_LEASE.exposed}) == 0"),
    Question("Are there dead letters?", f"sum by (job) ({table.DEAD_LETTERS.exposed}) > 0"),
    Question("Is a breaker open?", f"max by (job, breaker) ({table.BREAKER_OPEN.exposed}) > 0"),
    Question("Does a database not answer?", f"{table.DATABASE_UP.exposed} == 0"),
    Question(
        "Is a pool of connections exhausted?",
        f"{table.DATABASE_POOL_USED.exposed} >= {table.DATABASE_POOL_SIZE.exposed}",
    ),
    Question("Does a transaction stay open?", f"{table.DATABASE_OLDEST_TRANSACTION.exposed} > 30"),
    Question("Is what clients read old?", f"{table.VIEW_AGE.exposed} > 5"),
    Question(
        "Does a partition wait for an operator?", f"{table.PARTITIONS_OUT_OF_RANGE.exposed} > 0"
    ),
    Question("Has a partition no owner?", f"{table.PARTITIONS_UNOWNED.exposed} > 0"),
    Question("Is an event loop held up?", _LOOP_LATE),
    Question("Has a process started anew?", f"time() - {table.PROCESS_START_TIME.exposed} < 300"),
    Question(
        "Is the cache of answers away?",
        f'rate({table.IDEMPOTENCY_LOOKUPS.exposed}{{result="unknown"}}[5m]) > 0',
    ),
)
