"""Spans on their way to a collector: what they say, and that a bad collector costs nothing else."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from uuid import uuid4

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from shared.identifiers import EnrollmentId
from shared.process import load_settings
from shared.settings import ServiceSettings
from shared.trace_context import as_sampled, begin, child_of, is_sampled
from shared.tracing import QUEUED_MAX, Span, Tracing, exporter_of

ROOT = as_sampled(begin(EnrollmentId(uuid4()), 0.0))
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def span(context: str = ROOT, parent: str | None = None, failure: str | None = None) -> Span:
    return Span(
        "process requests", SpanKind.CONSUMER, context, parent, 5, 9, {"n": 1}, failure=failure
    )


def test_a_span_is_told_as_it_was() -> None:
    told = InMemorySpanExporter()
    tracing = Tracing("student", "student-1", sample_ratio=0.0, exporter=told)
    child = child_of(ROOT)

    tracing.record(span(child, ROOT))
    tracing.close()

    (one,) = told.get_finished_spans()
    assert one.name == "process requests"
    assert one.context is not None
    assert one.parent is not None
    assert f"{one.context.span_id:016x}" == child[36:52]
    assert f"{one.parent.span_id:016x}" == ROOT[36:52]
    assert (one.start_time, one.end_time) == (5, 9)
    assert one.status.status_code is StatusCode.UNSET
    assert one.resource.attributes["service.name"] == "student"
    assert one.resource.attributes["service.instance.id"] == "student-1"


def test_a_failure_is_an_error() -> None:
    told = InMemorySpanExporter()
    tracing = Tracing("student", "1", sample_ratio=0.0, exporter=told)

    tracing.record(span(failure="dead letter: held"))
    tracing.close()

    (one,) = told.get_finished_spans()
    assert one.status.status_code is StatusCode.ERROR
    assert one.status.description == "dead letter: held"


def test_nothing_is_sampled_where_nobody_is_told() -> None:
    tracing = Tracing("student", "1", sample_ratio=1.0, exporter=None)

    context = tracing.continue_or_begin(None, EnrollmentId(uuid4()))

    assert not is_sampled(context)
    assert not tracing.is_recorded(ROOT)
    tracing.record(span())
    tracing.close()


@contextmanager
def silent_server() -> Iterator[str]:
    """Take connections, and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces"


@contextmanager
def nobody() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield f"http://127.0.0.1:{port}/v1/traces"


def senders() -> set[threading.Thread]:
    """Name the threads that send spans, whosever they are."""
    return {one for one in threading.enumerate() if "OtelBatch" in one.name}


def await_end_of(threads: set[threading.Thread]) -> None:
    """See that nobody tries on: not even a thread that nobody waits for."""
    assert threads
    until = time.monotonic() + 20
    while threads & senders():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("collector", [silent_server, nobody])
def test_a_slow_or_dead_collector_costs_spans_and_nothing_else(
    collector: Callable[[], AbstractContextManager[str]],
) -> None:
    others = senders()
    with collector() as url:
        tracing = Tracing("student", "1", sample_ratio=1.0, exporter=OTLPSpanExporter(url))
        its_own = senders() - others
        began = time.monotonic()

        for _ in range(2 * QUEUED_MAX):
            tracing.record(span())
        recorded = time.monotonic()
        tracing.close()

        assert recorded - began < 30  # a time-out of the collector's would be in each of them
        assert time.monotonic() - recorded < 4
    await_end_of(its_own)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {ENDPOINT: ""},
        {ENDPOINT: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {ENDPOINT: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_no_spans_are_sent_unless_a_collector_is_named(environment: dict[str, str]) -> None:
    assert exporter_of(environment) is None


def test_spans_are_sent_to_the_collector_that_is_named() -> None:
    assert exporter_of({ENDPOINT: "http://127.0.0.1:1"}) is not None


def test_the_protocol_of_traces_wins_over_that_of_all() -> None:
    environment = {
        ENDPOINT: "http://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
    }

    assert exporter_of(environment) is not None


def test_a_protocol_that_is_not_spoken_ends_the_start_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "nowhere:1")
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")

    with pytest.raises(SystemExit) as ended:
        load_settings(ServiceSettings)

    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "setting OTEL_EXPORTER_OTLP_PROTOCOL: grpc is not, http/protobuf is spoken\n"
    )
