"""Makes a failing plan small: takes away whatever it fails without."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from services.simulation.plan import Plan, Step

RUNS_MAX: Final = 600

Fails = Callable[[Plan], bool]


def shrink(plan: Plan, fails: Fails) -> Plan:
    """Give a plan of fewer steps that fails too; the removal of any one step may cure it.

    Delta debugging (Zeller and Hildebrandt, 2002): takes away large parts first, then smaller.
    """
    attempts = _Attempts(fails)
    steps = tuple(plan.steps)
    size = max(1, len(steps) // 2)
    while not attempts.are_over():
        smaller = _without_parts(plan, steps, size, attempts)
        if len(smaller) == len(steps):
            if size == 1:
                break
            size //= 2
        steps = smaller
    return replace(plan, steps=steps)


class _Attempts:
    def __init__(self, fails: Fails) -> None:
        self._fails = fails
        self._count = 0

    def are_over(self) -> bool:
        return self._count >= RUNS_MAX

    def fails(self, plan: Plan) -> bool:
        self._count += 1
        return self._fails(plan)


def _without_parts(
    plan: Plan, steps: Sequence[Step], size: int, attempts: _Attempts
) -> tuple[Step, ...]:
    """Take away, one after the other, each part of this size that is not needed."""
    kept = tuple(steps)
    start = 0
    while start < len(kept) and not attempts.are_over():
        candidate = kept[:start] + kept[start + size :]
        if attempts.fails(replace(plan, steps=candidate)):
            kept = candidate
        else:
            start += size
    return kept
