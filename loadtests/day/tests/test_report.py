import json
import os
from array import array
from dataclasses import replace

import pytest

from loadtests.day import collector
from loadtests.day.collector import AwaitedOutcomes, Outcome, Outcomes, reason_codes
from loadtests.day.cpu import Usage, usage_of, used_between
from loadtests.day.playing import Played
from loadtests.day.report import (
    DayReport,
    as_text,
    latencies_ms,
    per_second,
    percentiles,
    report_of,
    undelivered,
)

REPORT = DayReport(
    run="r",
    requested=3,
    confirmed=1,
    rejected=2,
    cancelled=0,
    undecided=0,
    reasons={"section_full": 2, "time_conflict": 1},
    latency_ms={"p50": 10.0, "p95": 20.0, "p99": 20.0, "max": 20.0},
    per_second=1500.0,
    wall_seconds=0.5,
    cpu_seconds={"client": 0.1},
    violations=[],
)
REJECTED = json.dumps({"reasons": [{"code": "section_full"}, {"code": "section_full"}]}).encode()


def headers(kind: bytes, subject: bytes = b"a") -> dict[str, bytes]:
    return {"ce_type": kind, "ce_subject": subject}


def test_percentiles_are_the_nearest_ranks() -> None:
    assert percentiles([float(n) for n in range(1, 101)]) == {
        "p50": 50.0,
        "p95": 95.0,
        "p99": 99.0,
        "max": 100.0,
    }
    assert percentiles([7.0]) == {"p50": 7.0, "p95": 7.0, "p99": 7.0, "max": 7.0}


def test_without_outcomes_there_are_no_percentiles() -> None:
    assert set(percentiles([]).values()) == {None}


def test_latency_is_from_the_schedule_to_the_outcome_of_the_decided() -> None:
    assert latencies_ms([1.0, 2.0, 3.0], array("d", [1.5, 0.0, 3.25])) == [250.0, 500.0]


def test_a_rate_over_no_time_is_0() -> None:
    assert per_second(5, 0) == 0.0
    assert per_second(5, 2) == 2.5


def test_the_first_outcome_of_an_own_enrollment_counts() -> None:
    outcomes = Outcomes([b"a", b"b"])

    outcomes.take(headers(b"EnrollmentOpened"), b"", 1.0)
    outcomes.take(headers(b"EnrollmentConfirmed", b"stranger"), b"", 2.0)
    outcomes.take(headers(b"EnrollmentConfirmed"), b"", 3.0)
    outcomes.take(headers(b"EnrollmentCancelled"), b"", 4.0)
    outcomes.take({}, b"", 5.0)

    assert outcomes.counts == {Outcome.CONFIRMED: 1}
    assert (outcomes.decided_at.tolist(), outcomes.last_at) == ([3.0, 0.0], 3.0)
    assert not outcomes.are_complete


def test_a_rejection_counts_each_of_its_codes_once() -> None:
    outcomes = Outcomes([b"a"])

    outcomes.take(headers(b"EnrollmentRejected"), REJECTED, 1.0)

    assert outcomes.reasons == {"section_full": 1}
    assert outcomes.are_complete


def test_a_rejection_that_cannot_be_read_is_counted_as_such() -> None:
    assert reason_codes(b"nonsense") == reason_codes(b'{"reasons":[1]}') == {"unreadable"}


def test_a_report_is_fine_when_all_is_decided_and_no_promise_broken() -> None:
    assert REPORT.is_fine
    assert not replace(REPORT, undecided=1).is_fine
    assert not replace(REPORT, violations=["oversold"]).is_fine


def test_a_report_has_the_fields_of_its_json() -> None:
    assert list(json.loads(json.dumps(REPORT.as_json()))) == [
        "run",
        "requested",
        "confirmed",
        "rejected",
        "cancelled",
        "undecided",
        "reasons",
        "latency_ms",
        "per_second",
        "wall_seconds",
        "cpu_seconds",
        "violations",
    ]


def test_people_read_the_reasons_and_the_violations() -> None:
    text = as_text(replace(REPORT, violations=["section 1.1 is oversold"]))

    assert "rejected   2 (section_full 2, time_conflict 1)" in text
    assert "p99 20.0 ms" in text
    assert "section 1.1 is oversold" in text
    assert "enroll down --wipe" not in text


def test_who_was_enrolled_before_is_pointed_to_the_earlier_run() -> None:
    assert "enroll down --wipe" in as_text(replace(REPORT, reasons={"already_enrolled": 2}))


def test_a_run_is_summed_up() -> None:
    outcomes = Outcomes([b"a", b"b", b"c"])
    outcomes.take(headers(b"EnrollmentConfirmed"), b"", 11.0)
    outcomes.take(headers(b"EnrollmentRejected", b"c"), REJECTED, 12.0)
    played = Played([10.0, 10.0, 11.5], outcomes, 10.0, 14.0, 1, "too large")

    report = report_of("r", 3, played, {}, undelivered(played))

    assert (report.confirmed, report.rejected, report.cancelled, report.undecided) == (1, 1, 0, 1)
    assert report.latency_ms == {"p50": 500.0, "p95": 1000.0, "p99": 1000.0, "max": 1000.0}
    assert (report.per_second, report.wall_seconds) == (1.0, 4.0)
    assert report.violations == ["requests that did not reach Kafka: 1 (too large)"]


def test_processor_time_is_the_difference_unless_the_process_is_another() -> None:
    before = {"same": Usage(1.0, 5.0), "restarted": Usage(1.0, 5.0), "gone": Usage(1.0, 5.0)}
    after = {"same": Usage(1.0, 7.5), "restarted": Usage(9.0, 2.0), "new": Usage(9.0, 1.0)}

    assert used_between(before, after) == {"same": 2.5, "restarted": 2.0, "new": 1.0}


def test_processor_time_of_what_is_gone_is_left_out() -> None:
    no_process = 2**22 + 1  # above what the kernel gives

    assert set(usage_of({"me": os.getpid(), "nobody": no_process})) == {"me"}


def test_an_outcome_that_comes_before_its_enrollment_is_known_is_taken_then() -> None:
    outcomes = AwaitedOutcomes(2)

    outcomes.take(headers(b"EnrollmentConfirmed", b"early"), b"", 3.0)
    outcomes.take(headers(b"EnrollmentOpened", b"late"), b"", 3.5)
    assert outcomes.decided == 0
    outcomes.expect(1, "early")
    outcomes.expect(0, "late")
    outcomes.take(headers(b"EnrollmentRejected", b"late"), REJECTED, 4.0)

    assert outcomes.counts == {Outcome.CONFIRMED: 1, Outcome.REJECTED: 1}
    assert outcomes.decided_at.tolist() == [4.0, 3.0]
    assert outcomes.are_complete


def test_of_outcomes_of_others_only_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "EARLY_MAX", 2)
    outcomes = AwaitedOutcomes(3)
    for name in (b"a", b"b", b"c"):
        outcomes.take(headers(b"EnrollmentConfirmed", name), b"", 1.0)

    for number, text in enumerate(("a", "b", "c")):
        outcomes.expect(number, text)

    assert outcomes.decided_at.tolist() == [0.0, 1.0, 1.0]
