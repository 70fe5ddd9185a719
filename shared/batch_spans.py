"""Wraps a batch in spans: one for each sampled event of it, and one for the batch itself."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from shared import span_attributes, trace_context
from shared.events import (
    EnrollmentCancellationRequested,
    EnrollmentRequested,
    Event,
    MalformedRequest,
)
from shared.message import Arrival, Emitted, Message
from shared.reaction import Folded, Parked
from shared.span_attributes import ABOUT_ID, ENROLLMENT_ID
from shared.tracing import Span, Tracing, now_ns

PROCESS: Final = "process"


class BatchTrace(Protocol):
    """What a worker lets know of one batch."""

    def arrived(self, arrival: Arrival) -> Arrival:
        """Give an event with the context that continues in whatever comes of it."""

    def committed(self, folded: Folded) -> None:
        """Tell that the batch is done; of one that is dropped nothing is told."""


NewBatchTrace = Callable[[], BatchTrace]


class Untraced:
    """Lets each event keep the context that it came with."""

    def arrived(self, arrival: Arrival) -> Arrival:
        """Give it back."""
        return arrival

    def committed(self, folded: Folded) -> None:
        """Tell nobody."""


class BatchSpans:
    """The spans of one batch. What is not sampled costs a look at its context."""

    def __init__(self, tracing: Tracing, group: str) -> None:
        self._tracing = tracing
        self._group = group
        self._began_ns = now_ns()
        self._read = 0
        self._sampled: list[tuple[Arrival, str | None]] = []  # with the context that it came with

    def arrived(self, arrival: Arrival) -> Arrival:
        """Give an event its place in its trace, or the first of it."""
        self._read += 1
        if arrival.enrollment_id is None:
            return arrival
        came_with = arrival.traceparent
        context = self._tracing.continue_or_begin(came_with, arrival.enrollment_id)
        if not self._tracing.is_recorded(context):
            return arrival if context is came_with else replace(arrival, traceparent=context)
        is_continued = context is came_with
        own = trace_context.child_of(context) if is_continued else context
        placed = replace(arrival, traceparent=own)
        self._sampled.append((placed, came_with if is_continued else None))
        return placed

    def committed(self, folded: Folded) -> None:
        """Record the spans."""
        if not self._sampled:
            return
        ended_ns = now_ns()
        failures = {_place(parked.message): parked for parked in folded.parked}
        caused = {_place(message): emitted for message, emitted in folded.caused}
        for arrival, parent in self._sampled:
            place = _place(arrival.message)
            emitted, failure = caused.get(place, ()), failures.get(place)
            self._tracing.record(self._span_of(arrival, parent, ended_ns, emitted, failure))
        self._tracing.record(self._span_of_batch(folded, ended_ns))

    def _span_of(
        self,
        arrival: Arrival,
        parent: str | None,
        ended_ns: int,
        emitted: Sequence[Emitted],
        failure: Parked | None,
    ) -> Span:
        assert arrival.traceparent is not None
        message, event = arrival.message, arrival.event
        types = [type(one.event).__name__ for one in emitted]
        has_changed = bool(emitted) or failure is not None
        attributes = {
            **span_attributes.of_topic(message.topic, PROCESS),
            **span_attributes.of_event(event, _id_name(event, has_changed=has_changed)),
            "messaging.consumer.group.name": self._group,
            "messaging.destination.partition.id": str(message.partition),
            "messaging.kafka.offset": message.offset,
            "messaging.message.id": str(arrival.event_id),
            "enrollment.emitted": types,
            **span_attributes.of_outcome(*types),
        }
        return Span(
            name=f"{PROCESS} {message.topic}",
            kind=SpanKind.CONSUMER,
            context=arrival.traceparent,
            parent=parent,
            began_ns=self._began_ns,
            ended_ns=ended_ns,
            attributes=attributes,
            failure=None if failure is None else f"dead letter: {failure.reason}",
        )

    def _span_of_batch(self, folded: Folded, ended_ns: int) -> Span:
        attributes: dict[str, AttributeValue] = {
            "messaging.system": "kafka",
            "messaging.operation.name": PROCESS,
            "messaging.operation.type": PROCESS,
            "messaging.consumer.group.name": self._group,
            "messaging.batch.message_count": self._read,
            "batch.emitted": len(folded.emitted),
            "batch.duplicates": folded.duplicates,
            "batch.parked": len(folded.parked),
        }
        return Span(
            name=f"{PROCESS} batch",
            kind=SpanKind.CONSUMER,
            context=trace_context.of_its_own(),
            parent=None,
            began_ns=self._began_ns,
            ended_ns=ended_ns,
            attributes=attributes,
            links=[arrival.traceparent or "" for arrival, _ in self._sampled],
        )


def _id_name(event: Event, *, has_changed: bool) -> str:
    """A cancel, or a repeat, may be of another trace: by the id only the enrollment's is found."""
    match event:
        case EnrollmentCancellationRequested():
            return ABOUT_ID
        case EnrollmentRequested() | MalformedRequest() if not has_changed:
            return ABOUT_ID
        case _:
            return ENROLLMENT_ID


def _place(message: Message) -> tuple[str, int, int]:
    return message.topic, message.partition, message.offset
