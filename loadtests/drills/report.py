"""What the drills have shown, as JSON and as lines of text."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loadtests.chaos.report import shown_seconds, violation_lines


@dataclass(frozen=True)
class Drilled:
    """How one alert did: seconds from the fault's begin, and from its end; None: not in its time.

    `was_pending` is None for an alert that does not wait.
    """

    alert: str
    words: str
    fire_seconds: float | None
    resolve_seconds: float | None
    was_pending: bool | None
    others: Sequence[str]

    @property
    def is_fine(self) -> bool:
        """Tell whether it came and went."""
        came_and_went = self.fire_seconds is not None and self.resolve_seconds is not None
        return came_and_went and self.was_pending is not False


@dataclass(frozen=True)
class DrillsReport:
    """What fired while all was well, each drill, and whether the system kept its promises."""

    calm_seconds: float
    fired_in_calm: Sequence[str]
    drilled: Sequence[Drilled]
    violations: Sequence[str]

    @property
    def is_fine(self) -> bool:
        """Tell whether each alert fires when it should, and none when it should not."""
        has_failed = any(not one.is_fine for one in self.drilled)
        return not (self.fired_in_calm or has_failed or self.violations)

    def as_json(self) -> Mapping[str, Any]:
        """Give it as plain data."""
        return {**asdict(self), "is_fine": self.is_fine}


def drill_lines(report: DrillsReport) -> list[str]:
    """Give the report for people."""
    calm = ", ".join(report.fired_in_calm) or "nothing"
    return [
        f"in {report.calm_seconds:.0f} s without a fault fired: {calm}",
        *(line for one in report.drilled for line in drilled_lines(one)),
        *violation_lines(report.violations),
    ]


def drilled_lines(one: Drilled) -> list[str]:
    """Say how one alert did."""
    fire, resolve = shown_seconds(one.fire_seconds), shown_seconds(one.resolve_seconds)
    unseen = ", never seen pending" if one.was_pending is False else ""
    return [
        f"{one.alert}: fires after {fire}, resolves after {resolve}{unseen}",
        f"    {one.words}; also fired: {', '.join(one.others) or 'nothing'}",
    ]
