"""Each alert has its drill; and some drills, for real."""

from pathlib import Path

import psutil
import pytest

from deploy.local import stack, state
from deploy.local.servers import VARIABLES
from deploy.monitoring.alerts import ALERTS
from loadtests.drills.report import Drilled, DrillsReport, drill_lines
from loadtests.drills.running import Wishes, run_drills
from loadtests.drills.table import DRILLS

QUICK = ("ReadingStandsStill", "NobodyRelays", "BreakerStaysOpen")
FINE = Drilled("ProcessAway", "it is stopped", 2.0, 3.0, was_pending=True, others=())


@pytest.fixture
def _own_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)


def _say_nothing(_: str) -> None:
    """Nobody looks on."""


def test_each_alert_has_a_drill_and_no_drill_is_left_over() -> None:
    assert {alert.name for alert in ALERTS} == DRILLS.keys()


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("_own_servers")
def test_alerts_fire_when_they_should_and_go_when_it_is_over(tmp_path: Path) -> None:
    try:
        report = run_drills(tmp_path, Wishes(QUICK, calm_seconds=0.0), _say_nothing)
        known = state.load(tmp_path)
    finally:
        stack.down(tmp_path, wipe=True)

    assert [one.alert for one in report.drilled] == list(QUICK)
    assert report.is_fine, drill_lines(report)
    records = [*known.servers.values(), *known.services.values()]
    pids = [record.identity.pid for record in records if record.identity is not None]
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []


@pytest.mark.parametrize(
    ("drilled", "calm", "violations"),
    [
        (Drilled("A", "", None, 3.0, was_pending=True, others=()), (), ()),
        (Drilled("A", "", 2.0, None, was_pending=True, others=()), (), ()),
        (Drilled("A", "", 2.0, 3.0, was_pending=False, others=()), (), ()),
        (FINE, ("ViewIsOld (ingress)",), ()),
        (FINE, (), ("a seat is lost",)),
    ],
    ids=["never fires", "never resolves", "never pending", "fires for nothing", "broke a promise"],
)
def test_what_is_not_as_it_should_be_is_not_fine(
    drilled: Drilled, calm: tuple[str, ...], violations: tuple[str, ...]
) -> None:
    assert not DrillsReport(2.0, calm, [drilled], violations).is_fine


def test_people_are_told_each_time_and_what_else_fired() -> None:
    one = Drilled("A", "it is cut off", 2.0, None, was_pending=False, others=("B (c)",))
    report = DrillsReport(2.0, (), [FINE, one], ())

    assert DrillsReport(2.0, (), [FINE], ()).is_fine
    assert drill_lines(report) == [
        "in 2 s without a fault fired: nothing",
        "ProcessAway: fires after 2.0 s, resolves after 3.0 s",
        "    it is stopped; also fired: nothing",
        "A: fires after 2.0 s, resolves after no bearable time, never seen pending",
        "    it is cut off; also fired: B (c)",
        "violations: 0",
    ]
