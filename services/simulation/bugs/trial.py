"""Plants one bug in a fresh process, and looks for a history that shows it: `python -m`."""

import gc
import json
import logging
import sys
import time
from importlib import import_module
from typing import Any

from services.simulation.bugs.bug import Bug
from services.simulation.bugs.library import BUGS
from services.simulation.bugs.planting import plant


def hunt(bug: Bug, seeds: int) -> dict[str, Any]:
    """Give the first seed that breaks a promise, what it breaks, and how long it took."""
    logging.disable(logging.CRITICAL)
    gc.set_threshold(100_000, 20, 20)
    plant(bug)
    run_seed = import_module("services.simulation.history").run_seed
    began = time.monotonic()
    found: dict[str, Any] = {"seed": None, "violation": None}
    for seed in range(seeds):
        verdict = run_seed(seed)
        if verdict.violations:
            found = {"seed": seed, "violation": verdict.violations[0]}
            break
    return found | {"seconds": round(time.monotonic() - began, 1)}


def tell(bug: Bug, seeds: int) -> str:
    """Tell the story of the first seed that shows a bug."""
    seed = hunt(bug, seeds)["seed"]
    if seed is None:
        return f"no seed of {seeds} shows it"
    story: str = import_module("services.simulation.history").tell_story(seed)
    return story


if __name__ == "__main__":
    sys.stdout.write(json.dumps(hunt(BUGS[sys.argv[1]], int(sys.argv[2]))))
