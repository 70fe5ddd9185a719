"""One short storm over real processes."""

import json
from pathlib import Path

import psutil
import pytest

from deploy.local import stack, state
from deploy.local.errors import StackError
from deploy.local.servers import VARIABLES
from deploy.local.services import Count
from loadtests.chaos.by_http.log import http_file
from loadtests.chaos.journal import client_file, journal_file
from loadtests.chaos.playground import playground
from loadtests.chaos.storm import StormWishes, run_storm

ONE = Count(instances=1, ingresses=1)

# Breakers that recover soon: a short storm is over before those of the defaults have closed again.
SOON = {
    "DATABASE_CIRCUIT_RECOVERY_TIMEOUT": "2",
    "REDIS_CIRCUIT_RECOVERY_TIMEOUT": "1",
    "KAFKA_CIRCUIT_RECOVERY_TIMEOUT": "1",
}

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(autouse=True)
def _own_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)
    for name, value in SOON.items():
        monkeypatch.setenv(name, value)


def _say_nothing(_: str) -> None:
    """Nobody looks on."""


def test_a_short_storm_breaks_much_and_no_promise(tmp_path: Path) -> None:
    wishes = StormWishes(seed=3, minutes=0.2, requests_per_second=30)
    try:
        report = run_storm(tmp_path, wishes, _say_nothing)
        journal = [json.loads(line) for line in journal_file(tmp_path).read_text().splitlines()]
        logged = client_file(tmp_path).read_text().splitlines()
        tries = [json.loads(line) for line in http_file(tmp_path).read_text().splitlines()]
        records = [*state.load(tmp_path).servers.values(), *state.load(tmp_path).services.values()]
    finally:
        stack.down(tmp_path, wipe=True)

    assert list(report.violations) == []
    assert report.is_fine
    assert report.kills >= 3
    assert len(report.faults) >= 3
    assert report.outcomes["confirmed"] > 0
    begun = [line for line in journal if line["what"] == "begin"]
    assert len(begun) == sum(sum(targets.values()) for targets in report.faults.values())
    assert len(logged) == report.planned
    assert report.http.available_at_last == 1.0
    assert report.http.enrollments > 0
    assert {len(one["url"].split("/")) for one in tries} >= {4, 5}  # to ask, and to look or cancel
    assert len({one["url"].split("/")[2] for one in tries}) == 2
    pids = [record.identity.pid for record in records if record.identity is not None]
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []


def test_a_stack_that_chaos_did_not_make_is_not_wiped(tmp_path: Path) -> None:
    state.save(tmp_path, state.State())

    with (
        pytest.raises(StackError, match="would be wiped"),
        playground(tmp_path, ONE, quick_start=True, say=_say_nothing),
    ):
        pytest.fail("it was started")

    assert state.state_file(tmp_path).exists()


def test_servers_that_the_environment_names_are_not_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLES["kafka"], "127.0.0.1:9")

    with (
        pytest.raises(StackError, match="would be broken"),
        playground(tmp_path, ONE, quick_start=True, say=_say_nothing),
    ):
        pytest.fail("it was started")
