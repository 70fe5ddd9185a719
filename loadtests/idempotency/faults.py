"""What happens to Redis while the requests come: decided beforehand, by a seed alone."""

from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random
from typing import Final

from loadtests.chaos.plan import INSTANT, REDIS, Fault, Kind

DURATION_SECONDS: Final = (0.05, 1.5)
# Redis itself forgets, dies or stands still; or what leads to it is cut, stalled or muted.
ROUND: Final = (
    *(Kind.FLUSH, Kind.FLUSH, Kind.FLUSH),
    *(Kind.KILL, Kind.KILL, Kind.STOP, Kind.STOP),
    *(Kind.CUT, Kind.STALL, Kind.MUTE),
)
LINK_TROUBLES: Final = frozenset({Kind.CUT, Kind.STALL, Kind.MUTE})


def plan_faults(
    seed: int, seconds: float, spacing_seconds: float, links: Sequence[str]
) -> list[Fault]:
    """Give a fault of Redis about so often; `links` are those that lead to it."""
    random = Random(seed)
    count = max(1, int(seconds / spacing_seconds))
    kinds = islice(_rounds(random), count)
    return sorted(
        _fault(random, kind, (number + random.random()) * spacing_seconds, links)
        for number, kind in enumerate(kinds)
    )


def _rounds(random: Random) -> Iterator[Kind]:
    """Give the kinds of a round in a random order, then again in another, without end."""
    while True:
        yield from random.sample(ROUND, len(ROUND))


def _fault(random: Random, kind: Kind, at_seconds: float, links: Sequence[str]) -> Fault:
    target = random.choice(links) if kind in LINK_TROUBLES else REDIS
    duration_seconds = 0.0 if kind in INSTANT else random.uniform(*DURATION_SECONDS)
    return Fault(round(at_seconds, 3), kind, target, round(duration_seconds, 3))
