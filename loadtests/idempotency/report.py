"""What ten thousand requests and their repeats have shown, as JSON and as lines of text."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from loadtests.auditor.report import none_in
from loadtests.chaos.by_http.log import HttpLog
from loadtests.chaos.by_http.report import HttpReport, http_lines, http_report
from loadtests.chaos.report import Tally, faults_of, violation_lines

REPEATED_SHARE_MIN: Final = 0.2  # of the requests
SHARES: Final = (0.5, 0.95, 0.99, 1.0)


@dataclass(frozen=True)
class IdempotencyReport:
    """How often was asked for what, what Redis suffered meanwhile, and what came of it."""

    seed: int
    requests: int
    rows: int
    seconds: float
    faults: Mapping[str, Mapping[str, int]]  # by kind and target
    missed: int
    http: HttpReport
    answered_ms: Mapping[str, float]
    violations: Sequence[str]

    @property
    def is_fine(self) -> bool:
        """Tell whether all was decided once, and there were repeats and faults to speak of."""
        is_tried = self.http.repeats >= REPEATED_SHARE_MIN * self.requests and self.http.replays
        return not self.violations and self.rows == self.requests and bool(is_tried and self.faults)

    def as_json(self) -> dict[str, Any]:
        """Give it as plain data."""
        return {**asdict(self), "is_fine": self.is_fine}


def idempotency_report(
    seed: int, requests: int, tally: Tally, log: HttpLog, *, rows: int, violations: Sequence[str]
) -> IdempotencyReport:
    """Count what was answered and how soon."""
    return IdempotencyReport(
        seed=seed,
        requests=requests,
        rows=rows,
        seconds=round(tally.last_fault_at - tally.began_at, 1),
        faults=faults_of(tally),
        missed=tally.missed,
        http=http_report(log),
        answered_ms=_answered_ms(log),
        violations=violations,
    )


def _answered_ms(log: HttpLog) -> dict[str, float]:
    times = sorted(one.ended_at - one.sent_at for one in log.tries if one.answer.status is not None)
    if not times:
        return {}
    return {
        f"p{share * 100:g}": round(times[min(len(times) - 1, int(share * len(times)))] * 1000, 1)
        for share in SHARES
    }


def idempotency_lines(report: IdempotencyReport) -> list[str]:
    """Give the report for people."""
    faults = ", ".join(f"{kind} {sum(of.values())}" for kind, of in report.faults.items())
    times = ", ".join(f"{name} {ms:g} ms" for name, ms in report.answered_ms.items())
    return [
        f"{report.requests:,} requests in {report.seconds:g} s, seed {report.seed}",
        f"  Redis: {faults}; {report.missed} found it down",
        *http_lines(report.http),
        f"  answered in: {times}",
        f"  rows in the table of enrollments: {report.rows:,}",
        *violation_lines(report.violations),
        *([none_in(report.requests)] if report.is_fine else ()),
    ]
