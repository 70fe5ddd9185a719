"""What a storm has shown, as JSON and as lines of text."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from loadtests.auditor.report import none_in
from loadtests.chaos.by_http.report import HttpReport, http_lines
from loadtests.chaos.client_log import LATE_SECONDS, Log
from loadtests.chaos.plan import Kind
from loadtests.chaos.recovery import Recovery
from loadtests.chaos.workload import Asks
from loadtests.day.collector import Outcome

SHOWN_MAX: Final = 50
MISSED_SHARE_MAX: Final = 0.2  # of the faults: those that found nobody to strike


@dataclass
class Tally:
    """What was done in a storm, and when."""

    began_at: float = 0.0
    last_fault_at: float = 0.0
    inflicted: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    missed: int = 0

    @property
    def kills(self) -> int:
        """Count the processes and servers that were killed."""
        return sum(count for (kind, _), count in self.inflicted.items() if kind is Kind.KILL)


@dataclass(frozen=True)
class StormReport:
    """What a storm has shown; shares are of the enrollments that were asked for."""

    seed: int
    seconds: float
    faults: Mapping[str, Mapping[str, int]]  # by kind and target
    missed: int
    kills: int
    planned: int
    sent: int
    acknowledged: int
    asked: int
    outcomes: Mapping[str, int]  # the last that was heard of each enrollment
    acknowledged_within_1s: float
    decided_within_1s: float
    ready_seconds: float | None
    answered_seconds: float | None
    rest_seconds: float | None
    violations: Sequence[str]
    http: HttpReport

    @property
    def is_fine(self) -> bool:
        """Tell whether nothing was violated, and the whole load and the faults were played."""
        is_sent = self.planned == self.sent == self.acknowledged
        is_played = is_sent and self.outcomes["confirmed"] and self.http.enrollments
        inflicted = sum(sum(targets.values()) for targets in self.faults.values())
        is_storm = self.kills > 0 and self.missed <= MISSED_SHARE_MAX * inflicted
        return not self.violations and bool(is_played) and is_storm

    def as_json(self) -> dict[str, Any]:
        """Give it as plain data."""
        return {**asdict(self), "is_fine": self.is_fine}


def storm_report(
    seed: int,
    tally: Tally,
    log: Log,
    *,
    planned: int,
    recovery: Recovery,
    violations: Sequence[str],
    http: HttpReport,
) -> StormReport:
    """Count what the client saw."""
    last = Counter(heard[-1] for name, heard in log.heard.items() if name in log.first_asked_at)
    return StormReport(
        seed=seed,
        seconds=round(tally.last_fault_at - tally.began_at, 1),
        faults=faults_of(tally),
        missed=tally.missed,
        kills=tally.kills,
        planned=planned,
        sent=len(log.sent),
        acknowledged=sum(line.acknowledged_at is not None for line in log.sent),
        asked=len(log.first_asked_at),
        outcomes={outcome.value: last[outcome] for outcome in Outcome},
        acknowledged_within_1s=_acknowledged_soon(log),
        decided_within_1s=_decided_soon(log),
        ready_seconds=_rounded(recovery.ready_seconds),
        answered_seconds=_rounded(recovery.answered_seconds),
        rest_seconds=_rounded(recovery.rest_seconds),
        violations=violations,
        http=http,
    )


def faults_of(tally: Tally) -> dict[str, dict[str, int]]:
    """Count the faults by kind and target."""
    faults: dict[str, dict[str, int]] = {}
    for (kind, target), count in sorted(tally.inflicted.items()):
        faults.setdefault(kind.value, {})[target] = count
    return faults


def _acknowledged_soon(log: Log) -> float:
    asked = [line for line in log.sent if line.message.asks is Asks.SEATS]
    soon = sum(
        line.acknowledged_at is not None and line.acknowledged_at - line.sent_at <= LATE_SECONDS
        for line in asked
    )
    return _share(soon, len(asked))


def _decided_soon(log: Log) -> float:
    soon = sum(
        log.decided_at.get(name, float("inf")) - at <= LATE_SECONDS
        for name, at in log.first_asked_at.items()
    )
    return _share(soon, len(log.first_asked_at))


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def storm_lines(report: StormReport) -> list[str]:
    """Give a storm's report for people."""
    by_kind = [
        f"  {kind}: {sum(targets.values())} ({', '.join(f'{t} {n}' for t, n in targets.items())})"
        for kind, targets in report.faults.items()
    ]
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in report.outcomes.items())
    acknowledged, decided = report.acknowledged_within_1s, report.decided_within_1s
    since = (report.ready_seconds, report.answered_seconds, report.rest_seconds)
    ready, answered, rest = map(shown_seconds, since)
    sagas = report.asked + report.http.enrollments
    return [
        f"storm of {report.seconds:g} s, seed {report.seed}: {report.kills} kills",
        *by_kind,
        f"  missed: {report.missed}, since the process was down",
        f"by Kafka: {report.planned:,} messages, {report.acknowledged:,} acknowledged",
        f"enrollments: {report.asked:,} asked for; {outcomes}",
        f"within 1 s: {acknowledged:.1%} acknowledged, {decided:.1%} decided",
        *http_lines(report.http),
        f"after the last fault: ready in {ready}, all answered in {answered}, at rest in {rest}",
        *violation_lines(report.violations),
        *([none_in(sagas)] if report.is_fine else ()),
    ]


def violation_lines(violations: Sequence[str]) -> list[str]:
    """Show the first violations to people, and count all."""
    shown = [f"violation: {text}" for text in violations[:SHOWN_MAX]]
    more = len(violations) - len(shown)
    if more:
        shown.append(f"and {more:,} more, which the journal has")
    return [*shown, f"violations: {len(violations):,}"]


def shown_seconds(seconds: float | None) -> str:
    """Show a time to people."""
    return "no bearable time" if seconds is None else f"{seconds:.1f} s"
