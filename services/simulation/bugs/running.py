"""Has every planted bug killed, each in fresh processes, and tells by what."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Final

from services.simulation.bugs.bug import Bug
from services.simulation.bugs.planting import ROOT
from services.simulation.bugs.plugin_name import PLUGIN, VARIABLE

LIMITS: Final[Mapping[str, int]] = {"simulator": 1000, "explorer": 25_000}  # seeds, states
TEST_SECONDS_MAX: Final = 300.0
FAILED: Final = 1  # how pytest ends where tests ran, and some failed


@dataclass(frozen=True, slots=True)
class Death:
    """By what a bug was killed, with what was seen, and after how long."""

    by: str
    seen: str
    seconds: float


Deaths = Sequence[Death]  # none where a bug survives


def kill_all(bugs: Sequence[Bug], processes: int) -> Iterator[tuple[Bug, Deaths]]:
    """Kill bugs side by side; gives the deaths of each as they come."""
    with ThreadPoolExecutor(processes) as pool:
        running = {pool.submit(kill, bug): bug for bug in bugs}
        yield from ((running[done], done.result()) for done in as_completed(running))


def kill(bug: Bug) -> Deaths:
    """Have the test that is named fail; where none is, simulate and explore."""
    deaths = (
        [_put_to_trial(bug, check, limit) for check, limit in LIMITS.items()]
        if bug.test is None
        else [_test(bug, bug.test)]
    )
    return [death for death in deaths if death is not None]


def _put_to_trial(bug: Bug, check: str, limit: int) -> Death | None:
    command = (sys.executable, "-m", "services.simulation.bugs.trial", bug.name, check, str(limit))
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    if found["violation"] is None:
        return None
    by = f"{check}: {found['where']}{promise(found['violation'])}"
    return Death(by, found["violation"], found["seconds"])


def promise(violation: str) -> str:
    """Name what is broken: a violation begins with the number of its invariant, if it is of one."""
    what = violation.partition(":")[0]
    return f"invariant {what}" if what.isdigit() else what


def _test(bug: Bug, test: str) -> Death | None:
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
        return None
    return Death(f"`{test}`", failed[0], time.monotonic() - began)
