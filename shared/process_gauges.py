"""Shows as metrics what the parts of a process know of themselves."""

from collections.abc import Callable

from shared import metric_table as table
from shared.consumer import BatchConsumer
from shared.gates import Gates
from shared.metric_types import Gauge
from shared.metrics import Metrics, one_value
from shared.relay import Relay
from shared.tracing import Tracing
from shared.unowned import OwnerWatch


def show_consumer(
    metrics: Metrics, consumer: Callable[[], BatchConsumer | None], gates: Gates
) -> None:
    """Show what a process reads; before its consumer runs there is nothing."""

    def show(gauge: Gauge, number: Callable[[BatchConsumer], float]) -> None:
        metrics.gauge(gauge, lambda: one_value(0.0 if (one := consumer()) is None else number(one)))

    show(table.PARTITIONS_OWNED, lambda one: one.owned_count())
    show(table.PARTITIONS_OUT_OF_RANGE, lambda one: len(one.out_of_range()))
    show(table.BATCH_RUNNING, lambda one: one.batch_seconds())
    metrics.gauge(table.TOPICS_CLOSED, lambda: one_value(len(gates.closed_topics())))


def show_relay(metrics: Metrics, relay: Relay, owners: OwnerWatch) -> None:
    """Show whether a process relays, and which partitions it then sees without an owner."""
    metrics.gauge(table.RELAY_LEASE, lambda: one_value(relay.holds_lease))
    metrics.gauge(table.PARTITIONS_UNOWNED, lambda: one_value(owners.unowned_count))


def show_spans(metrics: Metrics, tracing: Tracing) -> None:
    """Show what became of the spans."""
    metrics.counted(table.SPANS_RECORDED, lambda: one_value(tracing.recorded))
    metrics.counted(table.SPANS_SENT, lambda: one_value(tracing.sent))
    metrics.counted(table.SPANS_LOST, lambda: one_value(tracing.lost))
