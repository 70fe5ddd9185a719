"""Planted bugs are found, each in a fresh process, and no reduction hides one."""

import json
import subprocess
import sys
from typing import Any

import pytest

from services.simulation.bugs.planting import ROOT

EXPLORE = """
import json, logging, sys
from dataclasses import replace
from importlib import import_module

from services.simulation.bugs.library import BUGS
from services.simulation.bugs.planting import plant

logging.disable(logging.CRITICAL)
plant(BUGS[sys.argv[1]])
search = import_module("services.simulation.explorer.search")
configurations = import_module("services.simulation.explorer.configurations")
name = f"{sys.argv[2]}; one partition"
[reduced] = [one for one in configurations.all_configurations() if one.name == name]
everything = replace(reduced, is_reduced=False)
found = [search.explore(one, 60.0) for one in (reduced, everything)]
json.dump([[one.violation, search.tell(one)] for one in found], sys.stdout)
"""

# Where each is found, which promise it breaks, and what its story must tell.
BUGS = {
    "one_too_many": ("two students, one seat; none", "1", "2 of 1 seats reserved"),
    "row_forgotten_on_release": ("deadline races cancel; none", "2", "none -> reserved"),
    "confirmed_after_rejection": ("deadline races cancel; none", "3", "1 passes"),
    "early_cancel_forgotten": ("cancel before its request; none", "3", "S1 cancels enrollment 1"),
    "new_row_taken_for_known": ("deadline races cancel; none", "8", "handles S1 asks"),
    "deleted_before_published": (
        "two students, one seat; crash",
        "6",
        "relay publishes and is kill",
    ),
    "replayed_and_kept": ("two students, one seat; poison", "7", "an operator replays"),
    "end_may_be_discarded": ("deadline races cancel; discard", "6", "an operator discards"),
}


def explore(bug: str, name: str) -> list[tuple[str, str]]:
    """Explore a configuration with a bug in it, reduced and not; give violations and stories."""
    done = subprocess.run(
        [sys.executable, "-c", EXPLORE, bug, name],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    found: list[Any] = json.loads(done.stdout)
    return [(violation, story) for violation, story in found]


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_with_its_steps_and_hidden_by_no_reduction(bug: str) -> None:
    name, promise, step = BUGS[bug]

    (violation, story), (unreduced, _) = explore(bug, name)

    broken = {one.partition(":")[0] for one in violation.split("; ")}
    assert promise in broken, story
    assert step in story
    assert promise in {one.partition(":")[0] for one in unreduced.split("; ")}
