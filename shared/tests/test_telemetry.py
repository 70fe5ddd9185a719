"""Trace contexts in and out, and metrics as Prometheus reads them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.trace import TraceFlags

from shared.telemetry import (
    Metrics,
    continue_or_start,
    format_traceparent,
    new_traceparent,
    parse_traceparent,
)

DETERMINISTIC = settings(max_examples=200, derandomize=True, deadline=None)
SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
INVALID = [
    "",
    "0af7651916cd43dd8448eb211c80319c",
    SAMPLED.upper(),
    SAMPLED[:-1],
    f"{SAMPLED}\n",
    f" {SAMPLED}",
    f"{SAMPLED}-more",
    f"01{SAMPLED[2:]}",
    f"00-{'0' * 32}-b7ad6b7169203331-01",
    f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
    SAMPLED.replace("0af", "0٣f"),
    "\x00",
]


def test_a_trace_context_is_read() -> None:
    context = parse_traceparent(SAMPLED)

    assert context is not None
    assert context.trace_id == 0x0AF7651916CD43DD8448EB211C80319C
    assert context.span_id == 0xB7AD6B7169203331
    assert context.trace_flags == TraceFlags.SAMPLED
    assert context.is_remote
    assert context.is_valid


@pytest.mark.parametrize("text", [None, *INVALID])
def test_what_is_no_trace_context_is_none(text: str | None) -> None:
    assert parse_traceparent(text) is None


@pytest.mark.parametrize("text", [SAMPLED, SAMPLED[:-2] + "00"])
def test_a_valid_context_is_continued_as_it_is(text: str) -> None:
    assert continue_or_start(text) is text


@pytest.mark.parametrize("text", [None, *INVALID])
def test_a_trace_is_started_where_there_is_no_valid_one(text: str | None) -> None:
    started = continue_or_start(text)

    assert started != text
    assert parse_traceparent(started) is not None


def test_a_trace_that_is_started_here_is_not_sampled() -> None:
    context = parse_traceparent(new_traceparent())

    assert context is not None
    assert not context.trace_flags.sampled


def test_each_trace_is_another() -> None:
    assert len({new_traceparent() for _ in range(100)}) == 100


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 255))
@DETERMINISTIC
def test_a_context_is_written_as_it_was_read(trace_id: int, span_id: int, flags: int) -> None:
    text = f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"

    context = parse_traceparent(text)

    assert context is not None
    assert context.is_valid
    assert format_traceparent(context) == text


@given(st.text())
@DETERMINISTIC
def test_no_text_crashes_the_reading(text: str) -> None:
    assert parse_traceparent(continue_or_start(text)) is not None


def test_a_gauge_shows_its_values_as_of_the_reading() -> None:
    metrics = Metrics("capacity", "capacity-1")
    depths = {"a": 3.0}
    metrics.gauge(
        "waiting", "1", "What waits.", lambda: [(v, {"topic": k}) for k, v in depths.items()]
    )

    depths["a"] = 5.0
    shown = metrics.exposition().decode()
    metrics.close()

    lines = [line for line in shown.splitlines() if line.startswith("waiting")]
    assert len(lines) == 1
    assert 'topic="a"' in lines[0]
    assert lines[0].endswith(" 5.0")


def test_two_processes_metrics_do_not_mix() -> None:
    one, other = Metrics("capacity", "capacity-1"), Metrics("student", "student-1")
    one.gauge("mine", "1", "Mine.", lambda: [(1.0, {})])
    other.gauge("its_own", "1", "Its own.", lambda: [(2.0, {})])

    shown = other.exposition().decode()
    one.close()
    other.close()

    assert "mine" not in shown
    assert "its_own" in shown
