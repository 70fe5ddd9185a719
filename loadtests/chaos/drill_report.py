"""What the drills have shown, as JSON and as lines of text."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from loadtests.chaos.report import shown_seconds, violation_lines

GOAL_SECONDS: Final = 10.0


@dataclass(frozen=True)
class DrillReport:
    """How soon every request was answered again after each drill; None: not within its time."""

    seconds: Mapping[str, Sequence[float | None]]
    sent: int
    violations: Sequence[str]

    @property
    def is_fine(self) -> bool:
        """Tell whether nothing was violated, and every recovery reached its goal."""
        all_seconds = [one for seconds in self.seconds.values() for one in seconds]
        return not self.violations and all(
            one is not None and one <= GOAL_SECONDS for one in all_seconds
        )

    def as_json(self) -> dict[str, Any]:
        """Give it as plain data."""
        summary = {
            drill: {"median": _median(seconds), "maximum": _maximum(seconds)}
            for drill, seconds in self.seconds.items()
        }
        return {**asdict(self), "summary": summary, "is_fine": self.is_fine}


def drill_lines(report: DrillReport) -> list[str]:
    """Give the drills' report for people."""
    rows = [_row(drill, seconds) for drill, seconds in report.seconds.items()]
    return [
        f"seconds until no request older than 1 s was unanswered; goal: {GOAL_SECONDS:.0f}",
        *rows,
        f"requests: {report.sent:,}",
        *violation_lines(report.violations),
    ]


def _row(drill: str, seconds: Sequence[float | None]) -> str:
    middle, longest = shown_seconds(_median(seconds)), shown_seconds(_maximum(seconds))
    return f"  {drill}: median {middle}, maximum {longest}, {len(seconds)} times"


def _median(seconds: Sequence[float | None]) -> float | None:
    known = [one for one in seconds if one is not None]
    return round(median(known), 2) if len(known) == len(seconds) and known else None


def _maximum(seconds: Sequence[float | None]) -> float | None:
    known = [one for one in seconds if one is not None]
    return round(max(known), 2) if len(known) == len(seconds) and known else None
