"""Has every planted bug killed, each in fresh processes, and tells by what."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Final

from services.simulation.bugs.bug import Bug
from services.simulation.bugs.planting import ROOT
from services.simulation.bugs.plugin_name import PLUGIN, VARIABLE

SEEDS_MAX: Final = 1000
TRIAL_SECONDS_MAX: Final = 900.0
TEST_SECONDS_MAX: Final = 300.0
FAILED: Final = 1  # how pytest ends where tests ran, and some failed


@dataclass(frozen=True, slots=True)
class Death:
    """By what a bug was killed, with what was seen, and after how long."""

    bug: Bug
    by: str
    seen: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Survival:
    """A bug that nothing has noticed."""

    bug: Bug


def kill_all(bugs: Sequence[Bug], processes: int) -> Iterator[Death | Survival]:
    """Kill bugs side by side; gives what becomes of each as it comes."""
    with ThreadPoolExecutor(processes) as pool:
        yield from (done.result() for done in as_completed(pool.submit(kill, b) for b in bugs))


def kill(bug: Bug) -> Death | Survival:
    """Have the test that is named fail; where none is, look for a history, and then explore."""
    if bug.test is not None:
        return _test(bug, bug.test)
    death = _simulate(bug)
    return _explore(bug) if isinstance(death, Survival) else death


def _simulate(bug: Bug) -> Death | Survival:
    found = _ask("services.simulation.bugs.trial", bug.name, str(SEEDS_MAX))
    if found["seed"] is None:
        return Survival(bug)
    seen: str = found["violation"]
    by = f"simulator: seed {found['seed']}, {promise(seen)}"
    return Death(bug, by, seen, found["seconds"])


def _explore(bug: Bug) -> Death | Survival:
    found = _ask("services.simulation.explorer.trial", bug.name)
    if found["story"] is None:
        return Survival(bug)
    seen = found["story"].splitlines()[0].partition(": ")[2]
    return Death(bug, f"explorer: {promise(seen)}", seen, found["seconds"])


def promise(violation: str) -> str:
    """Name what is broken: a violation begins with the number of its invariant, if it is of one."""
    what = violation.partition(":")[0]
    return f"invariant {what}" if what.isdigit() else what


def _ask(module: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=TRIAL_SECONDS_MAX,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _test(bug: Bug, test: str) -> Death | Survival:
    """Have the test fail with the bug; that it passes without is for the test suite to show."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-p", PLUGIN, "-n", "0", test],
        cwd=ROOT,
        env=os.environ | {VARIABLE: bug.name},
        capture_output=True,
        text=True,
        check=False,
        timeout=TEST_SECONDS_MAX,
    )
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    if done.returncode != FAILED or not failed:
        return Survival(bug)
    return Death(bug, f"`{test}`", failed[0], time.monotonic() - began)
