"""Explores the smallest worlds only, and stops at the first violation."""

import time
from collections.abc import Sequence
from typing import Final

from services.simulation.explorer.configuration import Configuration, Fault
from services.simulation.explorer.configurations import all_configurations
from services.simulation.explorer.search import explore, tell

STATES_EACH: Final = (12_000, 100_000)
QUICK: Final = frozenset({Fault.NO_INBOX, Fault.POISON})
ORDER: Final = (
    Fault.NONE,
    Fault.NO_INBOX,
    Fault.POISON,
    Fault.CRASH,
    Fault.REPEATS,
    Fault.DISCARD,
    Fault.RIVALS,
    Fault.REPLAYS,
)


def first_violation(configurations: Sequence[Configuration], seconds_max: float) -> str | None:
    """Explore a little of each, then more; give the story of the first violation.

    A mistake may make one world endless, and show at once in the next.
    """
    until = time.monotonic() + seconds_max
    left = list(configurations)
    for states_max in STATES_EACH:
        unfinished = []
        for configuration in left:
            found = explore(configuration, until - time.monotonic(), states_max)
            if found.violation:
                return tell(found)
            if not found.is_complete:
                unfinished.append(configuration)
        left = unfinished
    return None


def small_configurations() -> list[Configuration]:
    """Give every world without a fault, and the smallest with each; the quickest kinds first."""
    chosen = [one for one in all_configurations() if one.is_shared and _is_quick(one)]
    return sorted(chosen, key=lambda one: ORDER.index(one.fault))


def _is_quick(one: Configuration) -> bool:
    if one.fault is Fault.NONE:
        return True
    return one.is_small if one.fault in QUICK else one.is_smallest
