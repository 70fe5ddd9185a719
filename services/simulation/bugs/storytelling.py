"""Tells how a planted bug breaks a promise, in as few steps as it can be done."""

import logging
from importlib import import_module
from typing import Any, Final

from services.simulation.bugs.bug import Bug
from services.simulation.bugs.planting import plant

STORIES: Final = 8  # of so many the shortest is told


def tell(bug: Bug, seeds: int, invariant: int | None) -> str:
    """Plant a bug, shrink the first histories that break an invariant, and tell the shortest."""
    broken = "" if invariant is None else f"{invariant}: "
    logging.disable(logging.CRITICAL)
    plant(bug)
    history = import_module("services.simulation.history")
    stories: list[str] = []
    for seed in range(seeds):
        plan = history.new_plan(seed)
        if _breaks(history, plan, broken):
            stories.append(_tell_shrunk(history, plan, broken))
        if len(stories) == STORIES:
            break
    return min(stories, key=len, default=f"no seed of {seeds} breaks it")


def _breaks(history: Any, plan: Any, broken: str) -> bool:
    violations = history.run_plan(plan).violations
    return any(one.startswith(broken) for one in violations)


def _tell_shrunk(history: Any, plan: Any, broken: str) -> str:
    smallest = history.shrink(plan, lambda one: _breaks(history, one, broken))
    narrative = history.Narrative()
    verdict = history.run_plan(smallest, narrative)
    what = "\n".join(f"violates {violation}" for violation in verdict.violations)
    return (
        f"seed {plan.seed}, shrunk from {len(plan.steps)} to {len(smallest.steps)} steps\n"
        f"{narrative.text()}\n{what}"
    )
