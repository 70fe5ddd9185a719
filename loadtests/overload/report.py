"""What twice the load has shown, as JSON and as lines of text."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from loadtests.chaos.report import violation_lines
from loadtests.overload.ballast import Offered
from loadtests.overload.stages import Stage

GOODPUT_SHARE_MIN: Final = 0.85
MEMORY_GROWTH_MAX_MB: Final = 200.0
AFTERWARDS_MAX: Final = 1.5  # times the latency before, and a little
AFTERWARDS_MS: Final = 50.0
CARRIED_SHARE_MIN: Final = 0.95


@dataclass(frozen=True)
class Played:
    """The stages and what was seen beside them.

    What a step of some seconds carries may be more than can be carried for long: `sustained` tells.
    The reference is the peak once more, while the generator sends as much as in the overload: to
    the ingress what is its peak, and the rest as ballast to a server that refuses all at once.
    """

    steps: Sequence[Stage]
    sustained: Stage
    before: Stage
    reference: Stage
    ballast: Offered
    overload: Stage
    after: Stage
    memory_mb: Mapping[str, float]
    without_retry_after: int


@dataclass(frozen=True)
class OverloadReport:
    """What was played; `load` is the machine's load average before and after it."""

    played: Played
    load: tuple[float, float]
    violations: Sequence[str]

    @property
    def peak(self) -> float:
        """Give what was carried for as long as the overload lasts, in outcomes a second."""
        return self.played.sustained.goodput

    @property
    def goodput_share(self) -> float:
        """Tell how much of the reference was carried when more was offered."""
        return self._share_of(self.played.reference.goodput)

    @property
    def share_of_plain_peak(self) -> float:
        """Tell the same of the peak, when the generator left more of the machine to the system."""
        return self._share_of(self.peak)

    def _share_of(self, goodput: float) -> float:
        return round(self.played.overload.goodput / goodput, 3) if goodput else 0.0

    def complaints(self) -> list[str]:
        """Say what is not as it is promised, besides violations."""
        found = []
        if self.goodput_share < GOODPUT_SHARE_MIN:
            found.append(f"goodput is {self.goodput_share:.0%} of the peak beside ballast")
        if self.played.ballast.answered < self.played.ballast.sent:
            unanswered = self.played.ballast.sent - self.played.ballast.answered
            found.append(f"{unanswered} of the ballast had no answer: there is no reference")
        if self.played.overload.lost or self.played.overload.others:
            others = f"{self.played.overload.lost} lost, others {self.played.overload.others}"
            found.append(f"not all the rest was refused with 429 or 503: {others}")
        if self.played.without_retry_after:
            found.append(f"{self.played.without_retry_after} refusals were without Retry-After")
        if self.played.memory_mb["most"] - self.played.memory_mb["before"] > MEMORY_GROWTH_MAX_MB:
            found.append(f"the ingress has grown: {dict(self.played.memory_mb)} MB")
        if self.played.overload.drained_seconds is None:
            found.append("the lag did not come back to 0")
        return found + self._not_as_before()

    def _not_as_before(self) -> list[str]:
        found, after = [], self.played.after
        for name in ("answer_ms", "outcome_ms"):
            was, now = getattr(self.played.before, name)["p95"], getattr(after, name)["p95"]
            if now > AFTERWARDS_MAX * was + AFTERWARDS_MS:
                found.append(f"p95 of {name} was {was:g} before and is {now:g} afterwards")
        if after.accepted < CARRIED_SHARE_MIN * after.offered:
            found.append(f"afterwards only {after.accepted} of {after.offered} were accepted")
        return found

    @property
    def is_fine(self) -> bool:
        """Tell whether all is as it is promised."""
        return not self.violations and not self.complaints()

    def as_json(self) -> dict[str, Any]:
        """Give it as plain data."""
        computed = {
            "peak": self.peak,
            "peak_beside_ballast": self.played.reference.goodput,
            "goodput_share": self.goodput_share,
            "share_of_plain_peak": self.share_of_plain_peak,
        }
        return {
            **asdict(self),
            **computed,
            "complaints": self.complaints(),
            "is_fine": self.is_fine,
        }


def overload_lines(report: OverloadReport) -> list[str]:
    """Give the report for people."""
    played = report.played
    memory, drained = played.memory_mb, played.overload.drained_seconds
    long_ones = (played.reference, played.overload)
    stages = (*played.steps, played.sustained, played.before, *long_ones, played.after)
    most = f"{memory['most']:g} at most, {memory['after']:g} afterwards"
    return [
        *(stage.line() for stage in stages),
        *_goodput_lines(report),
        f"memory of the ingress: {memory['before']:g} MB, {most}",
        f"lag back to 0 {'never' if drained is None else f'{drained:g} s'} after the last request",
        f"load average {report.load[0]:.1f} before, {report.load[1]:.1f} after",
        *(f"not as promised: {text}" for text in report.complaints()),
        *violation_lines(report.violations),
    ]


def _goodput_lines(report: OverloadReport) -> list[str]:
    reference, overload = report.played.reference, report.played.overload
    ballast = report.played.ballast
    sent = f"{reference.rate + ballast.rate:,.0f}/s, of which {ballast.rate:,.0f}/s are ballast"
    late = f"{ballast.answered:,} of {ballast.sent:,} answered, late {ballast.late_ms_max:.0f} ms"
    shares = f"{report.goodput_share:.1%} of that, {report.share_of_plain_peak:.1%} of the peak"
    return [
        f"peak {report.peak:,.0f}/s: carried for {report.played.sustained.seconds:g} s",
        f"peak beside ballast {reference.goodput:,.0f}/s: the generator sends {sent} ({late})",
        f"{overload.seconds:g} s at {overload.rate:,.0f}/s: {overload.goodput:,.0f}/s, {shares}",
    ]
