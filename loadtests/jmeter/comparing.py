"""Sampler and observer side by side: pure arithmetic on what both have seen of the same run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from loadtests.day.report import percentiles
from loadtests.jmeter.jtl import Sample
from loadtests.jmeter.plans import PLANS
from loadtests.jmeter.sightings import Sightings
from loadtests.jmeter.targets import Verdict, judge_ledger

SHOWN: Final = ("p50", "p95", "p99", "max")
TOLERANCE: Final = {"p50": 0.10, "p99": 0.25}
HEADER: Final = f"| milliseconds | count | {' | '.join(SHOWN)} |\n|---|---|{'---|' * len(SHOWN)}"


@dataclass(frozen=True)
class Cost:
    """What JMeter took of the processors, all its life, and the observer beside it."""

    wall_seconds: float
    jmeter_seconds: float
    observer_seconds: float


@dataclass(frozen=True)
class Comparison:
    """The times of the same enrollments, ascending, in milliseconds."""

    sampler: Sequence[float]
    from_sending: Sequence[float]
    from_kafka: Sequence[float]

    @property
    def rows(self) -> dict[str, Mapping[str, float | None]]:
        """Give the percentiles of each."""
        return {
            "sampler: from the moment it was due": percentiles(self.sampler),
            "observer: from the moment it was sent": percentiles(self.from_sending),
            "observer: from the moment Kafka had it": percentiles(self.from_kafka),
        }

    @property
    def ratios(self) -> dict[str, float | None]:
        """Divide the sampler's percentiles by the observer's."""
        ours, theirs = percentiles(self.sampler), percentiles(self.from_sending)
        return {name: _ratio(ours[name], theirs[name]) for name in SHOWN}


def compared(samples: Sequence[Sample], seen: Sightings, rise_requests: int) -> Comparison:
    """Take the times of all that are decided, but for those of the rise.

    Both put the requests in the order in which they were sent, so both leave out the same.
    """
    label = PLANS["kafka"].rate_label
    opened = sorted((s for s in samples if s.label == label), key=lambda s: s.began_ms)
    asked = sorted(seen.asked.items(), key=lambda one: one[1].sent_ms)[rise_requests:]
    decided = [(one, seen.decided_ms[name]) for name, one in asked if name in seen.decided_ms]
    return Comparison(
        sampler=sorted(float(s.elapsed_ms) for s in opened[rise_requests:] if s.is_good),
        from_sending=_times([(one.sent_ms, at) for one, at in decided]),
        from_kafka=_times([(one.logged_ms, at) for one, at in decided]),
    )


def _times(pairs: Sequence[tuple[float, float]]) -> list[float]:
    return sorted(end_ms - begin_ms for begin_ms, end_ms in pairs)


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else round(one / other, 3)


def verdicts_on(found: Comparison, ledger: Mapping[str, Any] | None) -> list[Verdict]:
    """Judge whether both tell the same."""
    ours, theirs = len(found.sampler), len(found.from_sending)
    counts = f"{ours:,} and {theirs:,}"
    agreements = [_agreement(name, found.ratios[name]) for name in TOLERANCE]
    same = Verdict("both have seen as many outcomes", ours == theirs > 0, counts)
    return [same, *agreements, judge_ledger(ledger)]


def _agreement(name: str, ratio: float | None) -> Verdict:
    tolerance = TOLERANCE[name]
    is_met = ratio is not None and abs(ratio - 1) <= tolerance
    told = "there is none" if ratio is None else f"sampler / observer = {ratio:.3f}"
    return Verdict(f"{name} agrees within {100 * tolerance:.0f} %", is_met, told)


def as_text(
    found: Comparison, verdicts: Sequence[Verdict], ledger: Mapping[str, Any] | None, cost: Cost
) -> str:
    """Write all of it for people."""
    counts = [len(found.sampler), len(found.from_sending), len(found.from_kafka)]
    rows = zip(found.rows.items(), counts, strict=True)
    ratios = " | ".join(_number(found.ratios[name], 3) for name in SHOWN)
    return "\n".join(
        [
            HEADER,
            *(f"| {name} | {count:,} | {_cells(row)} |" for (name, row), count in rows),
            f"| sampler / sent | | {ratios} |",
            "",
            *(f"{'met   ' if v.is_met else 'MISSED'} {v.target}: {v.found}" for v in verdicts),
            "",
            _cost(cost, (ledger or {}).get("sent", 0)),
            _delay((ledger or {}).get("send_delay_ms_max", 0)),
        ]
    )


def _cells(row: Mapping[str, float | None]) -> str:
    return " | ".join(_number(row[name], 1) for name in SHOWN)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _cost(cost: Cost, requests: int) -> str:
    each_us = 1e6 * cost.jmeter_seconds / max(1, requests)
    percent = 100 * cost.jmeter_seconds / max(0.001, cost.wall_seconds)
    return (
        f"JMeter took {cost.jmeter_seconds:.1f} s of processor time in {cost.wall_seconds:.1f} s: "
        f"{percent:.0f} % of one processor, {each_us:,.0f} us a request, its start included; "
        f"the observer took {cost.observer_seconds:.1f} s."
    )


def _delay(send_delay_ms_max: int) -> str:
    return (
        f"JMeter was at most {send_delay_ms_max:,} ms behind its schedule. The sampler's times "
        "have that delay in them, the observer's have not: if both differ by it, the observer's "
        "are the system's, under a load that came in bursts. The sampler's are what those wait "
        "who ask on schedule: quote them, and where JMeter makes the difference, send less, or "
        "from another machine."
    )
