"""What was measured, as a table in Markdown: medians, and a ratio within each round."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Final

from loadtests.frameworks.measuring import Round
from loadtests.frameworks.pairs import REFERENCE, Pair

HEAD: Final = (
    "| | requests/s | p50 | p99 | CPU a request | least to most | of the reference's |",
    "|---|---|---|---|---|---|---|",
)

Rounds = Mapping[Pair, Sequence[Round]]


def table(rounds: Rounds) -> list[str]:
    """Give a row for each pair; the reference's row is in bold."""
    return [*HEAD, *(_row(pair, rounds) for pair in rounds)]


def _row(pair: Pair, rounds: Rounds) -> str:
    own = rounds[pair]

    def middle(of: Callable[[Round], float]) -> float:
        return median(of(one) for one in own)

    cpu = [one.cpu_us for one in own]
    cells = (
        f"**{pair.label}**" if pair == REFERENCE else pair.label,
        f"{middle(lambda one: one.per_second):,.0f}",
        f"{middle(lambda one: one.p50_ms):.1f} ms",
        f"{middle(lambda one: one.p99_ms):.1f} ms",
        f"{median(cpu):.0f} µs",
        f"{min(cpu):.0f} to {max(cpu):.0f} µs",
        _ratio(own, rounds.get(REFERENCE, ())),
    )
    return f"| {' | '.join(cells)} |"


def _ratio(own: Sequence[Round], reference: Sequence[Round]) -> str:
    """Compare within each round: what else the machine does changes from one to the next."""
    if not reference:
        return "not measured"
    ratios = [one.cpu_us / other.cpu_us for one, other in zip(own, reference, strict=True)]
    return f"{median(ratios):.2f}"


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
