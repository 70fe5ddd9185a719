"""A whole day through the ingress of a real stack, and what becomes of it when that is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local import stack
from loadtests.day.tests.test_whole_day import (
    COMMAND_SECONDS,
    DAY,
    ONE_BY_ONE,
    ORDER_MATTERS_FOR,
    REQUESTS,
    command,
    environment,
    play,
)

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A stack of this module's own, which is up."""
    directory = tmp_path_factory.mktemp("stack")
    stack.up(directory)
    yield directory
    stack.down(directory, wipe=True)


def test_a_day_by_http_comes_to_the_same_as_by_kafka(state_dir: Path) -> None:
    code, report = play(state_dir, "--http", "--rate", "300", "--run", "web")

    assert code == 0, report
    assert (report["requested"], report["undecided"]) == (REQUESTS, 0)
    assert report["confirmed"] == pytest.approx(ONE_BY_ONE, abs=ORDER_MATTERS_FOR)
    assert report["violations"] == []
    assert report["http"]["answers"]["202"] == REQUESTS
    assert report["http"]["not_accepted"] == 0
    assert {"client", "ingress", "redis"} <= report["http"]["cpu_us_a_request"].keys()
    assert report["http"]["latency_ms"]["p95"] < report["latency_ms"]["max"]


def test_the_same_run_again_is_answered_the_same_and_decides_nothing(state_dir: Path) -> None:
    code, report = play(state_dir, "--http", "--run", "web", "--patience-seconds", "3")

    assert code == 1
    assert (report["undecided"], report["violations"]) == (REQUESTS, [])
    assert report["http"]["answers"]["202"] == REQUESTS


def test_a_day_goes_on_when_the_ingress_is_killed_and_every_202_is_decided(
    state_dir: Path,
) -> None:
    killed = False
    with subprocess.Popen(
        command("--json", "--http", "--rate", "200", "--run", "killed"),
        env=environment(state_dir),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as day:
        assert day.stderr is not None
        for line in day.stderr:
            if "in flight" in line and not killed:
                os.kill(pid_of_ingress(state_dir), signal.SIGKILL)
                killed = True
        said, _ = day.communicate(timeout=COMMAND_SECONDS)

    report: dict[str, Any] = json.loads(said)
    assert killed
    assert report["violations"] == []
    assert (report["undecided"], report["http"]["not_accepted"]) == (0, 0)
    assert set(report["http"]["answers"]) > {"202"}


def pid_of_ingress(state_dir: Path) -> int:
    pid = stack.status(state_dir).services["ingress"].pid
    assert pid is not None
    return pid


def test_the_line_that_up_prints_works_as_it_is(state_dir: Path) -> None:
    assert shutil.which("curl"), "install curl: the line that is shown to users needs it"
    programs = str(Path(sys.executable).parent)
    shell = environment(state_dir) | {"PATH": f"{programs}:{os.environ['PATH']}"}
    up = subprocess.run(
        ["enroll", "up"], env=shell, capture_output=True, text=True, timeout=60, check=True
    )

    line = up.stdout.splitlines()[-1]
    done = subprocess.run(
        ["bash", "-c", line], env=shell, capture_output=True, text=True, timeout=60, check=True
    )

    answer = json.loads(done.stdout)
    assert (answer["student_id"], answer["status"]) == ("S000001", "pending")
    assert str(DAY.name) in line
