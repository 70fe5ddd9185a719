"""What breaks when in a storm: decided beforehand, by a seed alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from math import ceil
from random import Random
from typing import Final, NamedTuple

REDIS: Final = "redis"
SERVERS: Final = ("postgres", "kafka", REDIS)
KILL_SPACING_SECONDS: Final = 3.0  # 100 in five minutes: a few may find nobody to kill
LAST_END_SECONDS: Final = 2.0  # all faults are over so long before the end of the time


class Kind(StrEnum):
    """What can happen; the last three to a link, the others to a process."""

    KILL = "kill"  # SIGKILL; the supervisor starts it again
    FLUSH = "flush"  # Redis forgets everything
    STOP = "stop"  # SIGSTOP, and SIGCONT when it is over
    LEAVE = "leave"  # a second instance goes, and comes back when it is over
    CUT = "cut"
    STALL = "stall"
    MUTE = "mute"


INSTANT: Final = frozenset({Kind.KILL, Kind.FLUSH})  # they have no duration


@dataclass(frozen=True, order=True)
class Fault:
    """One fault."""

    at_seconds: float
    kind: Kind
    target: str
    duration_seconds: float = 0.0


class _Habit(NamedTuple):
    """How often a kind comes, and how long it lasts: mostly short, sometimes long."""

    kind: Kind
    spacing_seconds: float
    short_seconds: tuple[float, float]
    long_seconds: tuple[float, float]


# The long ones outlast the ten seconds after which a silent member loses its partitions.
HABITS: Final = (
    _Habit(Kind.STOP, 7.5, (0.3, 5.0), (11.0, 14.0)),
    _Habit(Kind.CUT, 5.5, (0.0, 2.0), (5.0, 8.0)),
    _Habit(Kind.STALL, 7.0, (0.3, 5.0), (11.0, 14.0)),
    _Habit(Kind.MUTE, 8.0, (0.2, 2.0), (5.0, 8.0)),
    _Habit(Kind.LEAVE, 20.0, (3.0, 8.0), (12.0, 15.0)),
    _Habit(Kind.FLUSH, 5.0, (0.0, 0.0), (0.0, 0.0)),
)
LONG_SHARE: Final = 0.2
# A process is killed at its worst moment when it has said something and has no answer yet.
WORST_MOMENT_SHARE: Final = 0.5
WORST_MOMENT_SECONDS: Final = (0.1, 2.0)


def plan_storm(
    seed: int, seconds: float, processes: Sequence[str], links: Sequence[str]
) -> list[Fault]:
    """Give the faults in order of time; the same arguments always give the same ones.

    Every process and every server is killed equally often. Only instances that have a brother
    leave.
    """
    random = Random(seed)
    brothers = [name for name in processes if name[-1].isdigit()]
    targets = {
        Kind.STOP: [*processes, *SERVERS],
        Kind.LEAVE: brothers,
        Kind.FLUSH: [REDIS],
        Kind.CUT: links,
        Kind.STALL: links,
        Kind.MUTE: links,
    }
    kills = list(_kills(random, seconds, [*processes, *SERVERS]))
    faults = [*kills, *_worst_moments(random, kills, links)]
    for habit in HABITS:
        if targets[habit.kind]:
            faults += _faults(random, seconds, habit, targets[habit.kind])
    return sorted(faults)


def _kills(random: Random, seconds: float, targets: Sequence[str]) -> Iterator[Fault]:
    count = ceil(seconds / KILL_SPACING_SECONDS)
    spacing_seconds = (seconds - LAST_END_SECONDS) / count
    for number, target in enumerate(islice(_rounds(random, targets), count)):
        yield Fault(_moment(random, number, spacing_seconds), Kind.KILL, target)


def _worst_moments(random: Random, kills: Sequence[Fault], links: Sequence[str]) -> Iterator[Fault]:
    """Have links in trouble around many a kill of the process that they lead from."""
    for kill in kills:
        its_links = [link for link in links if link.partition(">")[0] == kill.target]
        if its_links and random.random() < WORST_MOMENT_SHARE:
            before_seconds = min(random.uniform(*WORST_MOMENT_SECONDS), kill.at_seconds)
            at_seconds = round(kill.at_seconds - before_seconds, 3)
            kind = random.choice((Kind.STALL, Kind.MUTE))
            duration_seconds = round(before_seconds + random.random(), 3)
            yield Fault(at_seconds, kind, random.choice(its_links), duration_seconds)


def _faults(
    random: Random, seconds: float, habit: _Habit, targets: Sequence[str]
) -> Iterator[Fault]:
    count = int(seconds / habit.spacing_seconds)
    last_end_seconds = seconds - LAST_END_SECONDS
    for number, target in enumerate(islice(_rounds(random, targets), count)):
        at_seconds = _moment(random, number, habit.spacing_seconds)
        is_long = random.random() < LONG_SHARE
        bounds = habit.long_seconds if is_long else habit.short_seconds
        room_seconds = max(0.0, last_end_seconds - at_seconds)
        duration_seconds = round(min(random.uniform(*bounds), room_seconds), 3)
        yield Fault(at_seconds, habit.kind, target, duration_seconds)


def _moment(random: Random, number: int, spacing_seconds: float) -> float:
    return round((number + random.random()) * spacing_seconds, 3)


def _rounds(random: Random, targets: Sequence[str]) -> Iterator[str]:
    """Give all targets in a random order, then all again in another, without end."""
    while True:
        yield from random.sample(targets, len(targets))
