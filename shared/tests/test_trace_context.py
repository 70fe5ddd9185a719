"""Trace contexts: read, continued, begun with the enrollment's own id, sampled by it."""

from collections.abc import Callable
from uuid import UUID, uuid4, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.trace import TraceFlags

from shared.identifiers import EnrollmentId, new_event_id
from shared.trace_context import (
    as_sampled,
    begin,
    child_of,
    continue_or_begin,
    is_sampled,
    of_its_own,
    parse_traceparent,
)

DETERMINISTIC = settings(max_examples=200, derandomize=True, deadline=None)
ENROLLMENT = EnrollmentId(UUID("0192f3a4-1111-7222-8333-944455566677"))
NAMESPACE = UUID("6c1e0cf4-3c0b-5a0e-9a57-0d7c2f0f1a11")
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
    assert continue_or_begin(text, ENROLLMENT, 0.5) is text


@pytest.mark.parametrize("text", [None, *INVALID])
def test_a_trace_is_begun_where_there_is_no_valid_one(text: str | None) -> None:
    context = parse_traceparent(continue_or_begin(text, ENROLLMENT, 1.0))

    assert context is not None
    assert context.trace_id == ENROLLMENT.int
    assert context.trace_flags.sampled


@given(st.text())
@DETERMINISTIC
def test_no_text_crashes_the_reading(text: str) -> None:
    assert parse_traceparent(continue_or_begin(text, ENROLLMENT, 0.0)) is not None


def test_the_trace_of_the_id_zero_is_valid_too() -> None:
    assert parse_traceparent(begin(EnrollmentId(UUID(int=0)), 1.0)) is not None


@pytest.mark.parametrize("version", [4, 5, 7])
@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.5, 1.0])
def test_the_share_of_traces_that_are_sampled_is_the_ratio(version: int, ratio: float) -> None:
    made: dict[int, Callable[[], UUID]] = {
        4: uuid4,
        5: lambda: uuid5(NAMESPACE, str(uuid4())),
        7: new_event_id,
    }
    ids = [EnrollmentId(made[version]()) for _ in range(4000)]

    share = sum(is_sampled(begin(one, ratio)) for one in ids) / len(ids)

    assert abs(share - ratio) <= (0.04 if 0 < ratio < 1 else 0)


def test_everybody_decides_alike_whether_a_trace_is_sampled() -> None:
    ids = [EnrollmentId(uuid4()) for _ in range(100)]

    assert [is_sampled(begin(one, 0.5)) for one in ids] == [
        is_sampled(begin(one, 0.5)) for one in ids
    ]


def test_what_is_sampled_at_a_ratio_is_sampled_at_every_higher_one() -> None:
    ids = [EnrollmentId(uuid4()) for _ in range(1000)]

    few = {one for one in ids if is_sampled(begin(one, 0.1))}

    assert few <= {one for one in ids if is_sampled(begin(one, 0.3))}


def test_a_child_has_another_span_in_the_same_trace() -> None:
    parent, child = parse_traceparent(SAMPLED), parse_traceparent(child_of(SAMPLED))

    assert parent is not None
    assert child is not None
    assert child.trace_id == parent.trace_id
    assert child.trace_flags == parent.trace_flags
    assert child.span_id != parent.span_id


def test_a_context_is_sampled_on_demand() -> None:
    assert as_sampled(SAMPLED[:-2] + "00") == SAMPLED
    assert as_sampled(SAMPLED) == SAMPLED


def test_each_trace_of_its_own_is_another() -> None:
    made = [parse_traceparent(of_its_own()) for _ in range(100)]

    assert len({context.trace_id for context in made if context is not None}) == 100
