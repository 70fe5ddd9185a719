"""Wraps the relay's publisher in spans: how long an event waited in the outbox, and its way out."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from shared import span_attributes, trace_context
from shared.outbox import OutboxRow
from shared.relay import Publisher
from shared.span_attributes import ENROLLMENT_ID
from shared.tracing import Span, Tracing, now_ns

SEND: Final = "send"


class TracedPublisher:
    """Publishes as another does; what is sampled is told once it is acknowledged."""

    def __init__(self, publisher: Publisher, tracing: Tracing) -> None:
        self._publisher = publisher
        self._tracing = tracing
        self._on_their_way: list[tuple[OutboxRow, str, int]] = []  # since when

    def send(self, rows: Sequence[OutboxRow]) -> None:
        """Hand rows over, in order."""
        sent_ns = now_ns()
        self._publisher.send(rows)
        for row in rows:
            context = row.traceparent
            if context is not None and self._tracing.is_recorded(context):
                self._on_their_way.append((row, context, sent_ns))

    async def flush(self) -> None:
        """Wait until all is acknowledged, and tell of it."""
        await self._publisher.flush()
        acknowledged, self._on_their_way = self._on_their_way, []
        ended_ns = now_ns()
        for row, context, sent_ns in acknowledged:
            self._tell(row, context, sent_ns, ended_ns)

    def abandon(self) -> None:
        """Forget what is not delivered."""
        self._on_their_way = []
        self._publisher.abandon()

    def _tell(self, row: OutboxRow, context: str, sent_ns: int, ended_ns: int) -> None:
        event: dict[str, AttributeValue] = {
            "cloudevents.event_type": row.event_type,
            ENROLLMENT_ID: row.subject,
            **span_attributes.of_outcome(row.event_type),
        }
        waiting = Span(
            name=f"outbox {row.topic}",
            kind=SpanKind.INTERNAL,
            context=trace_context.child_of(context),
            parent=context,
            began_ns=_nanoseconds(row.occurred_at),
            ended_ns=sent_ns,
            attributes=event,
        )
        sending = Span(
            name=f"{SEND} {row.topic}",
            kind=SpanKind.PRODUCER,
            context=trace_context.child_of(context),
            parent=context,
            began_ns=sent_ns,
            ended_ns=ended_ns,
            attributes={
                **span_attributes.of_topic(row.topic, SEND),
                **event,
                "messaging.message.id": str(row.event_id),
            },
        )
        self._tracing.record(waiting)
        self._tracing.record(sending)


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000) * 1_000
