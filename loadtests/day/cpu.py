"""How much processor time processes have used, a server's children included."""

from collections.abc import Mapping
from typing import NamedTuple

import psutil


class Usage(NamedTuple):
    """What one process has used since it began; `created` tells it from a later one."""

    created: float
    seconds: float


def usage_of(pids: Mapping[str, int]) -> dict[str, Usage]:
    """Give the usage of each process that is still there."""
    found = {name: _usage(pid) for name, pid in pids.items()}
    return {name: usage for name, usage in found.items() if usage is not None}


def used_between(before: Mapping[str, Usage], after: Mapping[str, Usage]) -> dict[str, float]:
    """Give the difference; a process that was started again in between counts from its start."""
    return {
        name: round(usage.seconds - _seconds_of_same(before.get(name), usage), 2)
        for name, usage in after.items()
    }


def _seconds_of_same(before: Usage | None, after: Usage) -> float:
    return before.seconds if before is not None and before.created == after.created else 0.0


def _usage(pid: int) -> Usage | None:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            children = sum(_own(child) for child in process.children(recursive=True))
            times = process.cpu_times()
            ended_children = times.children_user + times.children_system
            own = times.user + times.system
            return Usage(process.create_time(), own + children + ended_children)
    except psutil.NoSuchProcess:
        return None


def _own(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:  # it has just ended, and counts with its parent's ended children
        return 0.0
    return times.user + times.system
