"""What tests that play plans share: a stack, and the command that people use."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local import services, stack
from deploy.local.servers import VARIABLES
from deploy.local.services import Count
from deploy.local.state import Plan

RUN_TESTS = Path(__file__).parents[1] / "run_tests.sh"
ONE = Count(instances=1, ingresses=1)
COMMAND_SECONDS = 400


@contextmanager
def stack_in(folder: Path) -> Iterator[dict[str, str]]:
    """Have a stack for the block; gives what a command finds: that stack, and a place to write."""
    with pytest.MonkeyPatch.context() as patched:
        for variable in VARIABLES.values():
            patched.delenv(variable, raising=False)
        stack.up(folder / "stack", plan=Plan(services=services.plan(ONE), quick_start=True))
        paths = {"ENROLL_STATE_DIR": folder / "stack", "RESULTS": folder / "results"}
        try:
            yield os.environ | {name: str(path) for name, path in paths.items()}
        finally:
            stack.down(folder / "stack", wipe=True)


def run_tests(
    environment: Mapping[str, str], *arguments: str
) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end."""
    return subprocess.run(
        [RUN_TESTS, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


def results_of(environment: Mapping[str, str], pattern: str) -> list[Path]:
    """Give what commands have written."""
    return sorted(Path(environment["RESULTS"]).glob(pattern))
