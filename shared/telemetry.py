"""Trace context and metrics by OpenTelemetry; spans are made elsewhere."""

import re
from collections.abc import Callable
from typing import Final

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanContext, TraceFlags, format_span_id, format_trace_id
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

TRACEPARENT: Final = re.compile(
    r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
)  # ids of zeros alone are not valid
_IDS: Final = RandomIdGenerator()

Gauge = Callable[[], list[tuple[float, dict[str, str]]]]


def parse_traceparent(text: str | None) -> SpanContext | None:
    """Read a W3C traceparent; None where there is none or it is not valid."""
    match = TRACEPARENT.fullmatch(text) if text is not None else None
    if match is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in match.groups())
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))


def format_traceparent(context: SpanContext) -> str:
    """Write a W3C traceparent."""
    trace_id, span_id = format_trace_id(context.trace_id), format_span_id(context.span_id)
    return f"00-{trace_id}-{span_id}-{context.trace_flags:02x}"


def new_traceparent() -> str:
    """Start a trace that nobody has decided to sample."""
    context = SpanContext(
        _IDS.generate_trace_id(),
        _IDS.generate_span_id(),
        is_remote=False,
        trace_flags=TraceFlags(0),
    )
    return format_traceparent(context)


def continue_or_start(traceparent: str | None) -> str:
    """Keep a valid trace context as it is, and start one where there is none."""
    if traceparent is not None and TRACEPARENT.fullmatch(traceparent) is not None:
        return traceparent
    return new_traceparent()


class Metrics:
    """One process's metrics: OpenTelemetry's instruments, shown as Prometheus reads them."""

    def __init__(self, service: str, instance: str) -> None:
        self._registry = CollectorRegistry()
        reader = PrometheusMetricReader(registry=self._registry)
        resource = Resource.create({"service.name": service, "service.instance.id": instance})
        self._provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self.meter: Meter = self._provider.get_meter("enrollment")

    def gauge(self, name: str, unit: str, description: str, read: Gauge) -> None:
        """Show values that are read when the metrics are; `read` must not block."""

        def observe(_options: CallbackOptions) -> list[Observation]:
            return [Observation(value, labels) for value, labels in read()]

        self.meter.create_observable_gauge(name, [observe], unit, description)

    def exposition(self) -> bytes:
        """Write all metrics in Prometheus's text format."""
        return generate_latest(self._registry)

    def close(self) -> None:
        """Let go of the registry."""
        self._provider.shutdown()
