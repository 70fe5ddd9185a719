"""One stage after the other, each at its own rate: the steps up to the peak, then twice that."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from loadtests.overload.generator import Generator
from loadtests.overload.ledger import ACCEPTED, LOST, REFUSALS, Ledger
from loadtests.overload.watching import Ingresses, Outcomes

SHARES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
DRAIN_SECONDS_MAX: Final = 120.0
SETTLE_SHARE: Final = 0.2  # of a step, until its rate has settled
IN_VAIN_MAX: Final = 2
GROWTH_MIN: Final = 1.03  # less than so much more is none

Say = Callable[[str], None]


@dataclass(frozen=True)
class Stage:
    """What came of one rate; `goodput` is outcomes a second while it was offered."""

    name: str
    rate: float
    seconds: float
    offered: int
    accepted: int
    refused: dict[str, int]  # by problem
    lost: int
    others: dict[int, int]  # answers of any other status
    goodput: float
    answer_ms: dict[str, float]  # of what was accepted, from when it was due
    outcome_ms: dict[str, float]
    drained_seconds: float | None
    memory_mb: float
    cpu_us: float  # of the ingress, for each request that was offered
    late_ms_max: float  # of the generator: how far it was behind its schedule

    def line(self) -> str:
        """Give it for people."""
        answer, outcome = _shown(self.answer_ms), _shown(self.outcome_ms)
        came = f"accepted {self.accepted:,}, refused {self.refused or 0}, lost {self.lost:,}"
        return (
            f"{self.name}: offered {self.rate:,.0f}/s for {self.seconds:g} s: goodput "
            f"{self.goodput:,.0f}/s; {came}, others {self.others or 0}; answered in {answer}; "
            f"decided in {outcome}; ingress {self.cpu_us:,.0f} us a request, "
            f"{self.memory_mb:.0f} MB; generator late {self.late_ms_max:.0f} ms"
        )


def _shown(milliseconds: dict[str, float]) -> str:
    return "/".join(f"{ms:,.0f}" for ms in milliseconds.values()) + " ms"


class Stages:
    """Plays stages on a running stack; each waits until all of it is decided."""

    def __init__(
        self,
        generator: Generator,
        ledger: Ledger,
        outcomes: Outcomes,
        ingresses: Ingresses,
        say: Say,
    ) -> None:
        self._generator = generator
        self._ledger = ledger
        self._outcomes = outcomes
        self._ingresses = ingresses
        self._say = say

    async def play(
        self, name: str, rate: float, seconds: float, settle_seconds: float = 0
    ) -> Stage:
        """Offer a rate for so long; goodput is measured once it has settled."""
        self._ingresses.take_most_mb()
        self._ledger.late_seconds_max = 0.0
        self._ledger.problems.clear()
        began, cpu_before = perf_counter(), self._ingresses.cpu_seconds()
        numbers = await self._generator.offer(rate, seconds)
        cpu_seconds = self._ingresses.cpu_seconds() - cpu_before
        drained_seconds = await self._outcomes.drained(DRAIN_SECONDS_MAX)
        decided = self._outcomes.decided_between(
            began + settle_seconds, began + seconds, numbers.stop
        )
        counts = self._ledger.counts(numbers)
        stage = Stage(
            name=name,
            rate=rate,
            seconds=seconds,
            offered=len(numbers),
            accepted=counts[ACCEPTED],
            refused=dict(self._ledger.problems),
            lost=counts[LOST],
            others=_others(counts),
            goodput=round(decided / (seconds - settle_seconds), 1),
            answer_ms=_percentiles(self._ledger.answer_seconds(numbers)),
            outcome_ms=_percentiles(self._ledger.seconds_until(self._outcomes.decided_at, numbers)),
            drained_seconds=None if drained_seconds is None else round(drained_seconds, 1),
            memory_mb=self._ingresses.take_most_mb(),
            cpu_us=round(cpu_seconds / len(numbers) * 1e6, 1),
            late_ms_max=round(self._ledger.late_seconds_max * 1000, 1),
        )
        self._say(stage.line())
        return stage

    async def climb(
        self, first_rate: float, factor: float, seconds: float, steps_max: int
    ) -> list[Stage]:
        """Go up step by step until twice in a row no more came of more."""
        steps: list[Stage] = []
        rate, best, in_vain = first_rate, 0.0, 0
        while in_vain < IN_VAIN_MAX and len(steps) < steps_max:
            step = await self.play(f"step {len(steps) + 1}", rate, seconds, seconds * SETTLE_SHARE)
            steps.append(step)
            in_vain = 0 if step.goodput > best * GROWTH_MIN else in_vain + 1
            best, rate = max(best, step.goodput), rate * factor
        return steps


def _others(counts: Counter[int]) -> dict[int, int]:
    known = {ACCEPTED, LOST, *REFUSALS}
    return {status: count for status, count in counts.items() if status not in known}


def _percentiles(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return dict.fromkeys(SHARES, 0.0)
    last = len(seconds) - 1
    return {
        name: round(seconds[min(last, int(share * len(seconds)))] * 1000, 1)
        for name, share in SHARES.items()
    }
