"""What is missing in a trace is found, one thing at a time; and the choreography is its measure."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from loadtests.traces.judging import missing_in, service_graph
from services.cli.traces import TracedSpan, waterfall

Trace = list[TracedSpan]


def span(
    service: str, name: str, parent: TracedSpan | None, event_type: str, **tags: object
) -> TracedSpan:
    """Make a span that begins a millisecond after its parent."""
    began_us = 0 if parent is None else parent.began_us + 1000
    span_id = f"{service} {name} {event_type}"
    parent_id = None if parent is None else parent.span_id
    found = {"cloudevents.event_type": event_type, **tags}
    return TracedSpan(service, name, span_id, parent_id, began_us, 2000, found)


def said(by: TracedSpan, topic: str, event_type: str) -> Trace:
    return [
        span(by.service, f"outbox {topic}", by, event_type),
        span(by.service, f"send {topic}", by, event_type),
    ]


def confirmed() -> Trace:
    """Make the trace of a saga that was confirmed."""
    asked = span(
        "enrollment",
        "process enrollment.requests",
        None,
        "EnrollmentRequested",
        **{"enrollment.emitted": '["EnrollmentOpened"]'},
    )
    validated = span(
        "student",
        "process enrollment.events",
        asked,
        "EnrollmentOpened",
        **{"enrollment.emitted": '["StudentValidated"]'},
    )
    reserved = span(
        "capacity",
        "process student.events",
        validated,
        "StudentValidated",
        **{"enrollment.emitted": '["SeatReserved"]'},
    )
    heard = span(
        "enrollment",
        "process capacity.events",
        reserved,
        "SeatReserved",
        **{"enrollment.emitted": '["EnrollmentConfirmed"]', "enrollment.outcome": "confirmed"},
    )
    return [
        asked,
        *said(asked, "enrollment.events", "EnrollmentOpened"),
        validated,
        *said(validated, "student.events", "StudentValidated"),
        reserved,
        *said(reserved, "capacity.events", "SeatReserved"),
        heard,
        *said(asked, "enrollment.events", "EnrollmentConfirmed"),
    ]


def without(name: str, event_type: str) -> Callable[[Trace], Trace]:
    return lambda trace: [one for one in trace if (one.name, one.event_type) != (name, event_type)]


def test_a_whole_trace_lacks_nothing() -> None:
    assert missing_in(confirmed(), "confirmed") == []


@pytest.mark.parametrize(
    ("spoil", "wanted"),
    [
        (without("process enrollment.requests", "EnrollmentRequested"), "an edge"),
        (without("outbox student.events", "StudentValidated"), "outbox StudentValidated"),
        (without("send capacity.events", "SeatReserved"), "send SeatReserved"),
        (
            without("process student.events", "StudentValidated"),
            "capacity: process student.events StudentValidated",
        ),
        (
            without("process enrollment.events", "EnrollmentOpened"),
            "what student: send student.events continues",
        ),
    ],
)
def test_a_span_that_is_missing_is_named(spoil: Callable[[Trace], Trace], wanted: str) -> None:
    assert wanted in missing_in(spoil(confirmed()), "confirmed")


def test_another_outcome_than_the_tables_is_told() -> None:
    assert missing_in(confirmed(), "rejected") == ["the outcome rejected: it tells ['confirmed']"]


def test_a_trace_that_begins_in_the_middle_is_told() -> None:
    spans = [
        replace(one, parent_id=None) if one.service == "capacity" else one for one in confirmed()
    ]

    assert any(
        found.startswith("an edge: its roots are") for found in missing_in(spans, "confirmed")
    )


def test_no_trace_at_all_lacks_its_edge() -> None:
    assert "an edge" in missing_in([], "confirmed")


def test_the_services_go_on_where_the_choreography_says() -> None:
    assert service_graph() == {
        ("enrollment", "student"),
        ("enrollment", "capacity"),
        ("student", "capacity"),
        ("student", "enrollment"),
        ("capacity", "enrollment"),
    }


def test_a_waterfall_has_each_span_below_the_one_that_it_continues() -> None:
    spans: Sequence[TracedSpan] = confirmed()

    lines = waterfall(spans)

    assert len(lines) == len(spans)
    assert lines[0].startswith("enrollment: process enrollment.requests EnrollmentRequested")
    names = [line.strip() for line in lines]
    at = next(i for i, line in enumerate(names) if line.startswith("student: process"))
    assert names[at + 1].startswith("student: outbox student.events StudentValidated")
    depth = [len(line) - len(line.lstrip()) for line in lines]
    assert depth[at + 1] == depth[at] + 2


def test_an_error_is_marked_in_the_waterfall() -> None:
    bad = replace(confirmed()[0], tags={"error": True})

    assert "ERROR" in waterfall([bad])[0]
