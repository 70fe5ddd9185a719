"""The whole command, some seconds long: whether both tell the same times is for a quiet machine."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.jmeter.tests.playing import COMMAND_SECONDS, results_of, stack_in

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]

RISE, PLATEAU = 20, 100  # requests


def test_sampler_and_observer_see_the_same_whole_sagas(tmp_path: Path) -> None:
    with stack_in(tmp_path) as environment:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "loadtests.jmeter.observing", "--rate", "20"),
                *("--seconds", "5", "--rise-seconds", "2", "--results", environment["RESULTS"]),
            ],
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    assert done.returncode in (0, 1), done.stderr
    assert f"met    both have seen as many outcomes: {PLATEAU} and {PLATEAU}" in done.stdout
    assert re.search(r"met    .*ledger adds up: sent 120, confirmed 120, rejected 0", done.stdout)
    assert re.search(r"sampler / sent \| \| [0-9.]+ \| [0-9.]+ \| [0-9.]+ \|", done.stdout)
    assert re.search(r"JMeter took [1-9][0-9.]* s of processor time", done.stdout)
    [ledger] = results_of(environment, "observed-*/ledger.json")
    assert json.loads(ledger.read_text())["confirmed"] == RISE + PLATEAU
