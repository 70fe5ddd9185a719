"""What is as promised under twice the load, and what is not."""

from dataclasses import replace
from typing import Any

import pytest

from loadtests.overload.ballast import Offered
from loadtests.overload.report import OverloadReport, Played, overload_lines
from loadtests.overload.stages import Stage

MS = {"p50": 10.0, "p95": 20.0, "p99": 30.0}
STAGE = Stage(
    name="step 1",
    rate=100.0,
    seconds=10.0,
    offered=1000,
    accepted=1000,
    refused={},
    lost=0,
    others={},
    goodput=100.0,
    answer_ms=MS,
    outcome_ms=MS,
    drained_seconds=0.5,
    memory_mb=200.0,
    cpu_us=500.0,
    late_ms_max=1.0,
)
OVERLOAD = replace(
    STAGE, rate=200.0, offered=2000, accepted=950, refused={"overloaded": 1050}, goodput=90.0
)
PLAYED = Played(
    steps=[replace(STAGE, goodput=80.0), replace(STAGE, goodput=120.0)],
    sustained=STAGE,
    before=STAGE,
    reference=replace(STAGE, goodput=96.0),
    ballast=Offered(rate=100.0, sent=1000, answered=1000, late_ms_max=2.0),
    overload=OVERLOAD,
    after=STAGE,
    memory_mb={"before": 200.0, "most": 220.0, "after": 210.0},
    without_retry_after=0,
)


def report_of(played: Played = PLAYED, violations: tuple[str, ...] = ()) -> OverloadReport:
    return OverloadReport(played, load=(0.5, 2.0), violations=violations)


def test_where_most_is_carried_and_the_rest_refused_all_is_as_promised() -> None:
    report = report_of()

    assert report.complaints() == []
    assert report.is_fine
    assert (report.peak, report.goodput_share, report.share_of_plain_peak) == (100.0, 0.938, 0.9)


def test_both_peaks_are_shown_and_the_shares_of_both() -> None:
    lines, data = overload_lines(report_of()), report_of().as_json()

    assert "peak 100/s: carried for 10 s" in lines
    assert (
        "peak beside ballast 96/s: the generator sends 200/s, of which 100/s are ballast "
        "(1,000 of 1,000 answered, late 2 ms)"
    ) in lines
    assert "10 s at 200/s: 90/s, 93.8% of that, 90.0% of the peak" in lines
    assert (data["peak"], data["peak_beside_ballast"]) == (100.0, 96.0)
    assert (data["goodput_share"], data["share_of_plain_peak"]) == (0.938, 0.9)


def test_it_is_the_peak_beside_ballast_that_counts() -> None:
    report = report_of(replace(PLAYED, sustained=replace(STAGE, goodput=200.0)))

    assert report.share_of_plain_peak == 0.45
    assert report.is_fine


def test_where_ballast_had_no_answer_the_generator_was_not_as_busy_and_that_is_said() -> None:
    ballast = replace(PLAYED.ballast, answered=990)

    report = report_of(replace(PLAYED, ballast=ballast))

    assert report.complaints() == ["10 of the ballast had no answer: there is no reference"]


def test_where_nothing_was_ever_carried_that_is_said() -> None:
    nothing = replace(STAGE, goodput=0.0)

    report = report_of(replace(PLAYED, sustained=nothing, reference=nothing))

    assert report.complaints() == ["goodput is 0% of the peak beside ballast"]
    assert report.share_of_plain_peak == 0.0


def test_a_violation_is_never_fine() -> None:
    assert not report_of(violations=("a seat is lost",)).is_fine


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"goodput": 81.0}, "goodput is 84% of the peak beside ballast"),
        ({"lost": 1}, "1 lost"),
        ({"others": {500: 2}}, "{500: 2}"),
        ({"drained_seconds": None}, "the lag did not come back to 0"),
    ],
)
def test_what_is_not_as_promised_while_it_is_too_much_is_said(
    changed: dict[str, Any], complaint: str
) -> None:
    report = report_of(replace(PLAYED, overload=replace(OVERLOAD, **changed)))

    [said] = report.complaints()
    assert complaint in said
    assert not report.is_fine


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"accepted": 900}, "afterwards only 900 of 1000 were accepted"),
        ({"answer_ms": {**MS, "p95": 81.0}}, "p95 of answer_ms was 20 before and is 81 afterwards"),
        ({"outcome_ms": {**MS, "p95": 99.0}}, "p95 of outcome_ms was 20 before"),
    ],
)
def test_what_is_not_as_before_afterwards_is_said(changed: dict[str, Any], complaint: str) -> None:
    report = report_of(replace(PLAYED, after=replace(STAGE, **changed)))

    [said] = report.complaints()
    assert complaint in said


def test_memory_that_grew_and_refusals_without_a_time_are_said() -> None:
    grown = {"before": 200.0, "most": 500.0, "after": 210.0}

    said = report_of(replace(PLAYED, memory_mb=grown, without_retry_after=3)).complaints()

    assert len(said) == 2
    assert "3 refusals were without Retry-After" in said
