"""Explores many configurations on all cores, the largest first."""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import active_children, get_context

from services.simulation.explorer.configuration import Configuration
from services.simulation.explorer.search import Found, explore
from services.simulation.running import calm

OnFound = Callable[[Found], None]


def explore_all(
    configurations: Sequence[Configuration],
    *,
    seconds_max: float,
    processes: int,
    on_found: OnFound,
) -> list[Found]:
    """Explore configurations side by side, or as far as there is time for; in the order given."""
    found = {}
    for number, one in _side_by_side(configurations, time.monotonic() + seconds_max, processes):
        found[number] = one
        on_found(one)
    return [found[number] for number in range(len(configurations))]


def _side_by_side(
    configurations: Sequence[Configuration], until: float, processes: int
) -> Iterator[tuple[int, Found]]:
    context = get_context("forkserver")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=calm) as pool:
        try:
            numbers = sorted(
                range(len(configurations)), key=lambda n: configurations[n].size, reverse=True
            )
            running = {pool.submit(_explore, configurations[n], until): n for n in numbers}
            for done in as_completed(running):
                yield running[done], done.result()
        except BaseException:  # whoever began it wants no more of it, not even what is at work
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in active_children():
                worker.terminate()
            raise


def _explore(configuration: Configuration, until: float) -> Found:
    """Explore in a process that looks for garbage between configurations alone."""
    found = explore(configuration, until - time.monotonic())
    gc.collect()
    return found
