"""Counts and times of samples: pure arithmetic on what JMeter wrote."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from loadtests.jmeter.jtl import Sample

FULL_SHARE: Final = 0.9  # of the threads, while the rate is taken
PLATEAU_SECONDS_MIN: Final = 5.0


@dataclass(frozen=True)
class Figures:
    """What some samples come to; times are milliseconds, shares are from 0 to 1."""

    samples: int
    per_second: float
    p50_ms: int
    p95_ms: int
    p99_ms: int
    max_ms: int
    error_share: float
    refused: int
    available_share: float


def percentile(sorted_ms: Sequence[int], share: float) -> int:
    """Give the value that so great a share does not exceed (nearest rank)."""
    return sorted_ms[max(0, ceil(share * len(sorted_ms)) - 1)]


def figures_of(samples: Sequence[Sample]) -> Figures:
    """Count samples, of which there must be one at least; time-outs count like all others."""
    times = sorted(sample.elapsed_ms for sample in samples)
    count = len(samples)
    return Figures(
        samples=count,
        per_second=rate_of(samples),
        p50_ms=percentile(times, 0.5),
        p95_ms=percentile(times, 0.95),
        p99_ms=percentile(times, 0.99),
        max_ms=times[-1],
        error_share=sum(not sample.is_good for sample in samples) / count,
        refused=sum(sample.is_refusal for sample in samples),
        available_share=sum(not sample.is_unavailable for sample in samples) / count,
    )


def rate_of(samples: Sequence[Sample]) -> float:
    """Tell how many ended a second, from the first one's beginning to the last one's end."""
    began_ms = min(sample.began_ms for sample in samples)
    ended_ms = max(sample.ended_ms for sample in samples)
    return 1000 * len(samples) / max(1, ended_ms - began_ms)


def plateau_rate_of(samples: Sequence[Sample]) -> float:
    """Tell the rate while nearly all threads ran: ramp-up and end say nothing of the system.

    Where they hardly ran together, it is the rate of the whole.
    """
    full = FULL_SHARE * max(sample.threads for sample in samples)
    ends = [sample.ended_ms for sample in samples if sample.threads >= full]
    first_ms, last_ms = min(ends), max(ends)
    if last_ms - first_ms < PLATEAU_SECONDS_MIN * 1000:
        return rate_of(samples)
    within = sum(first_ms <= sample.ended_ms <= last_ms for sample in samples)
    return 1000 * within / (last_ms - first_ms)


def divided(samples: Sequence[Sample], key: Callable[[Sample], str]) -> dict[str, list[Sample]]:
    """Divide samples by their label or group, in the order of their first ones."""
    parts: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        parts[key(sample)].append(sample)
    return dict(parts)
