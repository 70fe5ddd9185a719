"""A whole day on the whole system, as `make demo` plays it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local import stack

DAY = Path(__file__).parents[2] / "data" / "pu-cs-fal07"
REQUESTS = 2002
ONE_BY_ONE = 1828
ORDER_MATTERS_FOR = 20  # students of other partitions overtake one another
COMMAND_SECONDS = 240
INTERRUPT_SECONDS = 10

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("stack")
    yield directory
    stack.down(directory, wipe=True)


def environment(state_dir: Path) -> dict[str, str]:
    without = {"KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"}
    kept = {name: value for name, value in os.environ.items() if name not in without}
    return kept | {"ENROLL_STATE_DIR": str(state_dir)}


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "services.cli", "day", str(DAY), *options]


def play(state_dir: Path, *options: str) -> tuple[int, dict[str, Any]]:
    ended = subprocess.run(
        command("--json", *options),
        env=environment(state_dir),
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert ended.stdout, ended.stderr
    return ended.returncode, json.loads(ended.stdout)


def is_stopped(state_dir: Path) -> bool:
    return set(stack.status(state_dir).states().values()) == {"stopped"}


def test_a_day_is_confirmed_as_one_by_one_and_leaves_nothing_running(state_dir: Path) -> None:
    code, report = play(state_dir, "--rate", "400", "--run", "first")

    assert code == 0, report
    assert (report["run"], report["requested"]) == ("first", REQUESTS)
    assert (report["undecided"], report["cancelled"], report["violations"]) == (0, 0, [])
    assert report["confirmed"] + report["rejected"] == REQUESTS
    assert report["confirmed"] == pytest.approx(ONE_BY_ONE, abs=ORDER_MATTERS_FOR)
    assert set(report["reasons"]) == {"section_full", "time_conflict"}
    assert set(report["cpu_seconds"]) == {
        "client",
        "enrollment",
        "student",
        "capacity",
        "ingress",
        "kafka",
        "postgres",
        "redis",
    }
    assert is_stopped(state_dir)


def test_a_stack_that_ran_before_runs_on_and_knows_who_is_enrolled(state_dir: Path) -> None:
    stack.up(state_dir)

    code, report = play(state_dir)

    assert code == 0, report
    assert (report["confirmed"], report["rejected"]) == (0, REQUESTS)
    assert report["reasons"]["already_enrolled"] == pytest.approx(ONE_BY_ONE, abs=ORDER_MATTERS_FOR)
    assert stack.status(state_dir).is_up


def test_the_same_run_again_changes_nothing_and_gets_no_outcome(state_dir: Path) -> None:
    stack.up(state_dir)

    code, report = play(state_dir, "--run", "first", "--patience-seconds", "3")

    assert code == 1
    assert (report["undecided"], report["violations"]) == (REQUESTS, [])
    stack.down(state_dir)


def test_an_interrupted_day_stops_what_it_started(state_dir: Path) -> None:
    with subprocess.Popen(
        command("--rate", "50"), env=environment(state_dir), stderr=subprocess.PIPE, text=True
    ) as day:
        assert day.stderr is not None
        for line in day.stderr:
            if "confirmed" in line:
                break
        began = time.monotonic()

        day.send_signal(signal.SIGINT)
        day.communicate(timeout=INTERRUPT_SECONDS)

    assert time.monotonic() - began < INTERRUPT_SECONDS
    assert day.returncode == 130
    assert is_stopped(state_dir)
