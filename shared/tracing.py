"""Records the spans of sampled sagas once they are over, and sends them to a collector."""

import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import (
    OTEL_EXPORTER_OTLP_ENDPOINT,
    OTEL_EXPORTER_OTLP_PROTOCOL,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL,
    OTEL_SDK_DISABLED,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from shared import trace_context
from shared.identifiers import EnrollmentId
from shared.trace_context import parse_traceparent

OTEL_TRACES_EXPORTER: Final = "OTEL_TRACES_EXPORTER"  # the SDK names it elsewhere, unofficially
LOGGER: Final = logging.getLogger(__name__)
QUEUED_MAX: Final = 32_768
SENT_AT_ONCE_MAX: Final = 2_048
STOP_SECONDS: Final = 2.0
LINKS_MAX: Final = 128  # as many as the SDK itself would keep
SCOPE: Final = InstrumentationScope("enrollment-saga")
PROTOCOL: Final = "http/protobuf"

Attributes = Mapping[str, AttributeValue]


def now_ns() -> int:
    """Tell the time as spans have it: nanoseconds since 1970."""
    return time.time_ns()


@dataclass(frozen=True, slots=True)
class Span:
    """What was done for a sampled trace: `context` is its own, `parent` what it continues.

    A failure is what an operator should look at; that somebody was refused is none.
    """

    name: str
    kind: SpanKind
    context: str
    parent: str | None
    began_ns: int
    ended_ns: int
    attributes: Attributes
    links: Sequence[str] = field(default=())
    failure: str | None = None


class Tracing:
    """What a process has to do with traces: it begins them, and tells what it did for them.

    Without an exporter nothing is sampled here, and what others sample is passed on and not told.
    A slow or dead collector costs spans and nothing else: they wait in a bounded queue, and the
    oldest are dropped.
    """

    def __init__(
        self,
        service: str,
        instance: str,
        *,
        sample_ratio: float,
        exporter: SpanExporter | None,
    ) -> None:
        self._resource = Resource.create({"service.name": service, "service.instance.id": instance})
        self._sample_ratio = sample_ratio if exporter is not None else 0.0
        self._exporter = None if exporter is None else _Counting(exporter)
        self._processor = None if self._exporter is None else _processor(self._exporter)
        self.recorded = 0

    def continue_or_begin(self, traceparent: str | None, enrollment_id: EnrollmentId) -> str:
        """Keep a valid context as it is, or begin the enrollment's trace."""
        return trace_context.continue_or_begin(traceparent, enrollment_id, self._sample_ratio)

    def is_recorded(self, traceparent: str) -> bool:
        """Tell whether spans of this trace are to be told."""
        return self._processor is not None and trace_context.is_sampled(traceparent)

    def record(self, span: Span) -> None:
        """Take a span that is over; never blocks, and never fails for the collector's sake."""
        if self._processor is not None:
            self.recorded += 1
            self._processor.on_end(self._readable(span))

    @property
    def sent(self) -> int:
        """Count the spans that the collector has taken."""
        return 0 if self._exporter is None else self._exporter.sent

    @property
    def lost(self) -> int:
        """Count the spans that it has not taken, though they were sent."""
        return 0 if self._exporter is None else self._exporter.lost

    def _readable(self, span: Span) -> ReadableSpan:
        links = [parse_traceparent(link) for link in span.links[:LINKS_MAX]]
        failed = Status(StatusCode.ERROR, span.failure)
        return ReadableSpan(
            span.name,
            context=parse_traceparent(span.context),
            parent=parse_traceparent(span.parent),
            resource=self._resource,
            attributes=span.attributes,
            links=[Link(context) for context in links if context is not None],
            kind=span.kind,
            status=Status() if span.failure is None else failed,
            start_time=span.began_ns,
            end_time=max(span.began_ns, span.ended_ns),
            instrumentation_scope=SCOPE,
        )

    def close(self) -> None:
        """Send what waits; blocks for two seconds at most, whatever the collector does."""
        if self._processor is None or self._exporter is None:
            return
        stopping = threading.Thread(target=self._processor.shutdown, daemon=True)
        stopping.start()
        stopping.join(STOP_SECONDS)
        if stopping.is_alive():
            LOGGER.warning("the collector does not answer: the last spans are lost")
            self._exporter.shutdown()  # it would try again for a minute


class _Counting(SpanExporter):
    """Exports as another does, on the processor's thread, and counts what came of it."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.sent = 0
        self.lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans."""
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            if result is SpanExportResult.SUCCESS:
                self.sent += len(spans)
            else:
                self.lost += len(spans)
        return result

    def shutdown(self) -> None:
        """Send no more."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what waits."""
        return self._exporter.force_flush(timeout_millis)


def _processor(exporter: SpanExporter) -> BatchSpanProcessor:
    """A burst must fit: the SDK's own queue drops spans while it sends."""
    return BatchSpanProcessor(
        exporter,
        max_queue_size=QUEUED_MAX,
        max_export_batch_size=SENT_AT_ONCE_MAX,
    )


def exporter_of(environment: Mapping[str, str] = os.environ) -> SpanExporter | None:
    """Make the exporter that OpenTelemetry's standard variables ask for; none without an endpoint.

    Raises ValueError for a protocol that is not spoken here.
    """
    is_off = (
        environment.get(OTEL_SDK_DISABLED, "").lower() == "true"
        or (environment.get(OTEL_TRACES_EXPORTER) or "otlp") != "otlp"
    )
    endpoints = (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT)
    if is_off or not any(environment.get(name) for name in endpoints):
        return None
    protocols = (OTEL_EXPORTER_OTLP_TRACES_PROTOCOL, OTEL_EXPORTER_OTLP_PROTOCOL)
    wanted = next((environment[name] for name in protocols if environment.get(name)), PROTOCOL)
    if wanted != PROTOCOL:
        raise ValueError(f"{OTEL_EXPORTER_OTLP_PROTOCOL}: {wanted} is not, {PROTOCOL} is spoken")
    return OTLPSpanExporter()
