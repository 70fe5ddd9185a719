"""Plants one bug in a fresh process, and has a check look for it: `python -m`."""

import gc
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final

from services.simulation.bugs.bug import Bug
from services.simulation.bugs.library import BUGS
from services.simulation.bugs.planting import plant

STATES_EACH: Final = 1000  # of one small world
SECONDS_MAX: Final = 600.0

Check = Callable[[int], tuple[str, str] | None]  # gives where it is shown, and what is violated


def try_seeds(seeds: int) -> tuple[str, str] | None:
    """Run histories in the simulator."""
    run_seed = import_module("services.simulation.history").run_seed
    for seed in range(seeds):
        verdict = run_seed(seed)
        if verdict.violations:
            return f"seed {seed}, ", verdict.violations[0]
    return None


def explore(states: int) -> tuple[str, str] | None:
    """Explore a little of each small world, up to so many states in all."""
    search = import_module("services.simulation.explorer.search")
    for world in import_module("services.simulation.explorer.quick").small_configurations():
        found = search.explore(world, SECONDS_MAX, min(states, STATES_EACH))
        states -= found.states
        if found.violation:
            return "", found.violation
        if states <= 0:
            break
    return None


CHECKS: Final[Mapping[str, Check]] = {"simulator": try_seeds, "explorer": explore}


def put_to_trial(bug: Bug, check: str, limit: int) -> dict[str, str | float | None]:
    """Give what a check has found, and how long it computed; for a fresh process only."""
    logging.disable(logging.CRITICAL)
    gc.set_threshold(100_000, 20, 20)
    plant(bug)
    began = time.process_time()
    where, violation = CHECKS[check](limit) or (None, None)
    return {"where": where, "violation": violation, "seconds": time.process_time() - began}


if __name__ == "__main__":
    name, check, limit = sys.argv[1:]
    sys.stdout.write(json.dumps(put_to_trial(BUGS[name], check, int(limit))))
