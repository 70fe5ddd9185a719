"""What a storm and the drills have shown."""

from collections import Counter
from typing import Any
from uuid import uuid4

import pytest

from loadtests.chaos.by_http.log import HttpLog
from loadtests.chaos.by_http.report import http_report
from loadtests.chaos.by_http.tests.making import HttpDay, accepted, ask_of, refused
from loadtests.chaos.client_log import Log, Sent
from loadtests.chaos.drill_report import DrillReport, drill_lines
from loadtests.chaos.plan import Kind
from loadtests.chaos.recovery import Recovery
from loadtests.chaos.report import SHOWN_MAX, StormReport, Tally, storm_lines, storm_report
from loadtests.chaos.workload import Asks, Message
from loadtests.day.collector import Outcome
from shared.identifiers import EnrollmentId, EventId, StudentId

ASKED_AT = 1000.0


def log_of(*, acknowledged_after: float | None, decided_after: float) -> Log:
    log, name = Log(), EnrollmentId(uuid4())
    line = Sent(Message(0.0, Asks.SEATS, EventId(uuid4()), name, StudentId("P1")), ASKED_AT)
    if acknowledged_after is not None:
        line.acknowledged_at, line.place = ASKED_AT + acknowledged_after, (0, 0)
    log.note_sent(line)
    log.note_outcome(str(name), Outcome.CONFIRMED, ASKED_AT + decided_after)
    return log


def report_of(log: Log, *, kills: int = 2, missed: int = 0, **changed: Any) -> StormReport:
    inflicted = Counter({(Kind.KILL, "kafka"): kills, (Kind.STOP, "student"): 8})
    day = HttpDay()
    day.try_(ask_of(), refused(503), accepted("e1"))
    tally = Tally(began_at=10.0, last_fault_at=20.0, inflicted=inflicted, missed=missed)
    http = http_report(day.log)
    given = {
        "http": http,
        "planned": 1,
        "recovery": Recovery(1.0, 1.5, 2.0),
        "violations": [],
        **changed,
    }
    return storm_report(7, tally, log, **given)


def test_a_storm_counts_faults_and_what_the_client_saw() -> None:
    report = report_of(log_of(acknowledged_after=0.5, decided_after=1.5))

    assert report.is_fine
    assert report.kills == 2
    assert report.faults == {"kill": {"kafka": 2}, "stop": {"student": 8}}
    assert (report.acknowledged_within_1s, report.decided_within_1s) == (1.0, 0.0)
    assert report.outcomes == {"confirmed": 1, "rejected": 0, "cancelled": 0}
    assert storm_lines(report)[-2:] == [
        "violations: 0",
        "0 violations in 2 sagas, rate < 1.5e+00 at 95 %",
    ]


def test_a_storm_is_not_fine_with_a_violation_or_without_its_whole_load() -> None:
    played = log_of(acknowledged_after=0.5, decided_after=0.6)
    lost = log_of(acknowledged_after=None, decided_after=0.6)

    assert not report_of(played, violations=["a seat is lost"]).is_fine
    assert not report_of(played, planned=2).is_fine
    assert not report_of(lost).is_fine
    assert not report_of(played, http=http_report(HttpLog(1))).is_fine


def test_a_storm_tells_what_the_clients_of_the_ingress_saw() -> None:
    report = report_of(log_of(acknowledged_after=0.5, decided_after=0.6))

    assert report.as_json()["http"]["available_at_first"]["enroll"] == 0.0
    assert report.as_json()["http"]["available_at_last"] == 1.0
    assert [line for line in storm_lines(report) if "with repeats: 100.0%" in line]


def test_a_storm_is_not_fine_where_it_struck_hardly_anybody() -> None:
    played = log_of(acknowledged_after=0.5, decided_after=0.6)

    assert report_of(played, missed=2).is_fine
    assert not report_of(played, missed=3).is_fine
    assert not report_of(played, kills=0).is_fine


def test_people_are_shown_the_first_violations_and_told_of_the_others() -> None:
    log = log_of(acknowledged_after=0.5, decided_after=0.6)
    lines = storm_lines(report_of(log, violations=["a seat is lost"] * (SHOWN_MAX + 2)))

    assert lines.count("violation: a seat is lost") == SHOWN_MAX
    assert lines[-2:] == ["and 2 more, which the journal has", f"violations: {SHOWN_MAX + 2}"]


@pytest.mark.parametrize(
    ("seconds", "is_fine"), [([1.0, 9.9], True), ([1.0, 10.1], False), ([1.0, None], False)]
)
def test_drills_are_fine_where_every_recovery_reached_its_goal(
    seconds: list[float | None], is_fine: bool
) -> None:
    report = DrillReport({"SIGKILL of kafka": seconds}, sent=10, violations=[])

    assert report.is_fine is is_fine
    assert len(drill_lines(report)) == 4


def test_an_answer_that_came_late_is_noted_with_both_times() -> None:
    soon = log_of(acknowledged_after=0.1, decided_after=0.9)
    late = log_of(acknowledged_after=0.1, decided_after=3.0)

    assert soon.late == []
    assert late.late == [(ASKED_AT, ASKED_AT + 3.0)]
    assert not late.unanswered
