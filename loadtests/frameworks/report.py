"""What was measured, as a table in Markdown: medians of the rounds in which others kept quiet."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Final

from loadtests.frameworks.measuring import Round
from loadtests.frameworks.pairs import REFERENCE, Pair

ROUNDS_MIN: Final = 2
HEAD: Final = (
    "| | CPU, to the reference's | CPU a request | requests/s | p50 | p99 | of rounds |",
    "|---|---|---|---|---|---|---|",
)

Rounds = Mapping[Pair, Sequence[Round]]


class NeverQuietError(Exception):
    """There is nothing to take a median of."""


def quiet(rounds: Rounds, others_max: float) -> dict[Pair, list[Round]]:
    """Leave out rounds in which others took more of the machine."""
    kept = {
        pair: [one for one in of_pair if one.others_percent <= others_max]
        for pair, of_pair in rounds.items()
    }
    for pair, of_pair in kept.items():
        if len(of_pair) < ROUNDS_MIN:
            raise NeverQuietError(
                f"{pair.label}: others were busy in all rounds but {len(of_pair)}"
            )
    return kept


def table(rounds: Rounds, kept: Rounds) -> list[str]:
    """Give a row for each pair; the reference's row is in bold.

    How long things take is told by the rounds that were kept. Compared is within each round, and
    in all of them: what else the machine does meets both.
    """
    return [*HEAD, *(_row(pair, kept[pair], _ratio(pair, rounds)) for pair in rounds)]


def _ratio(pair: Pair, rounds: Rounds) -> float:
    both = zip(rounds[pair], rounds[REFERENCE], strict=True)
    return median(own.cpu_us / reference.cpu_us for own, reference in both)


def _row(pair: Pair, rounds: Sequence[Round], ratio: float) -> str:
    def middle(of: Callable[[Round], float]) -> float:
        return median(of(one) for one in rounds)

    cells = (
        f"**{pair.label}**" if pair == REFERENCE else pair.label,
        f"{ratio:.2f}",
        f"{middle(lambda one: one.cpu_us):.0f} µs",
        f"{middle(lambda one: one.per_second):,.0f}",
        f"{middle(lambda one: one.p50_ms):.1f} ms",
        f"{middle(lambda one: one.p99_ms):.1f} ms",
        f"{len(rounds)}",
    )
    return f"| {' | '.join(cells)} |"


def load_sentence(rounds: Rounds) -> str:
    """Say how busy the machine was; what is measured is part of the load average."""
    loads = [one.load_average for of_pair in rounds.values() for one in of_pair]
    others = [one.others_percent for of_pair in rounds.values() for one in of_pair]
    return (
        f"Load average before each: {_spread(loads)}. "
        f"Others took meanwhile, in percent of the machine: {_spread(others)}."
    )


def _spread(values: Sequence[float]) -> str:
    return f"{min(values):.1f} to {max(values):.1f}, median {median(values):.1f}"
