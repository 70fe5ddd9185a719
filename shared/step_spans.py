"""Tells of what a service did for sampled sagas without having been asked by a message."""

from collections.abc import Iterable

from opentelemetry.trace import SpanKind

from shared import span_attributes, trace_context
from shared.message import Emitted
from shared.tracing import Span, Tracing, now_ns


def tell_of_step(tracing: Tracing, name: str, emitted: Iterable[Emitted], began_ns: int) -> None:
    """Record a span beside what was emitted, for each event whose trace is sampled."""
    ended_ns = now_ns()
    for one in emitted:
        if one.traceparent is not None and tracing.is_recorded(one.traceparent):
            context = trace_context.child_of(one.traceparent)
            attributes = span_attributes.of_event(one.event)
            tracing.record(
                Span(
                    name,
                    SpanKind.INTERNAL,
                    context,
                    one.traceparent,
                    began_ns,
                    ended_ns,
                    attributes,
                )
            )
