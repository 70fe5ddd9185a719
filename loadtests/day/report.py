"""What a day came to: the report, its arithmetic, and how it reads."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any, Final

from loadtests.day.collector import Outcome
from loadtests.day.playing import Played

PERCENTILES: Final = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}


@dataclass(frozen=True)
class HttpReport:
    """What a run by HTTP came to besides: of every answer, repeats included."""

    answers: Mapping[str, int]
    error_percent: float
    not_accepted: int
    latency_ms: Mapping[str, float | None]
    cpu_us_a_request: Mapping[str, float]


@dataclass(frozen=True)
class DayReport:
    """The outcome of a run, named as its JSON; `http` is there for a run by HTTP."""

    run: str
    requested: int
    confirmed: int
    rejected: int
    cancelled: int
    undecided: int
    reasons: Mapping[str, int]
    latency_ms: Mapping[str, float | None]
    per_second: float
    wall_seconds: float
    cpu_seconds: Mapping[str, float]
    violations: Sequence[str]
    http: HttpReport | None = None

    @property
    def is_fine(self) -> bool:
        """Tell whether every request got an outcome and every invariant held."""
        return self.undecided == 0 and not self.violations

    def as_json(self) -> dict[str, Any]:
        """Give the report for programs."""
        data = asdict(self)
        if self.http is None:
            del data["http"]
        return data


def report_of(
    run: str,
    requested: int,
    played: Played,
    cpu_seconds: Mapping[str, float],
    violations: Sequence[str],
) -> DayReport:
    """Do the arithmetic of a run."""
    outcomes = played.outcomes
    return DayReport(
        run=run,
        requested=requested,
        confirmed=outcomes.counts[Outcome.CONFIRMED],
        rejected=outcomes.counts[Outcome.REJECTED],
        cancelled=outcomes.counts[Outcome.CANCELLED],
        undecided=requested - outcomes.decided,
        reasons=dict(outcomes.reasons.most_common()),
        latency_ms=percentiles(latencies_ms(played.started_at, outcomes.decided_at)),
        per_second=per_second(outcomes.decided, outcomes.last_at - played.first_at),
        wall_seconds=round(played.ended_at - played.first_at, 3),
        cpu_seconds=cpu_seconds,
        violations=violations,
    )


def undelivered(played: Played) -> list[str]:
    """Say which requests the services never saw: their lack of an outcome is no fault of theirs."""
    if not played.not_delivered:
        return []
    return [f"requests that did not reach Kafka: {played.not_delivered} ({played.delivery_error})"]


def latencies_ms(started_at: Sequence[float], decided_at: Sequence[float]) -> list[float]:
    """Give the milliseconds that each decided request took, shortest first."""
    pairs = zip(started_at, decided_at, strict=False)
    return sorted((decided - started) * 1000 for started, decided in pairs if decided)


def percentiles(ascending: Sequence[float]) -> dict[str, float | None]:
    """Give the nearest-rank percentiles; None where there is nothing to rank."""
    return {name: _nearest_rank(ascending, share) for name, share in PERCENTILES.items()}


def _nearest_rank(ascending: Sequence[float], share: float) -> float | None:
    if not ascending:
        return None
    return round(ascending[max(0, ceil(share * len(ascending)) - 1)], 2)


def per_second(count: int, seconds: float) -> float:
    """Give a rate; 0 where no time went by."""
    return round(count / seconds, 1) if seconds > 0 else 0.0


def as_text(report: DayReport) -> str:
    """Write the report for people."""
    lines = [
        f"run        {report.run}",
        f"requested  {report.requested:,}",
        f"confirmed  {report.confirmed:,}",
        f"rejected   {report.rejected:,}{_reasons(report)}",
        f"cancelled  {report.cancelled:,}",
        f"undecided  {report.undecided:,}",
        f"latency    {_latency(report.latency_ms)}",
        f"rate       {report.per_second:,.1f} outcomes a second, {report.wall_seconds:.2f} s",
        f"processor  {_cpu(report)}",
        *_http(report),
        f"audit      {_audit(report)}",
        *(f"  {violation}" for violation in report.violations),
    ]
    if "already_enrolled" in report.reasons:
        lines.append("Some students kept sections of an earlier run: `enroll down --wipe` forgets.")
    return "\n".join(lines)


def _reasons(report: DayReport) -> str:
    most_first = sorted(report.reasons.items(), key=lambda item: (-item[1], item[0]))
    text = ", ".join(f"{code} {count:,}" for code, count in most_first)
    return f" ({text})" if text else ""


def _latency(latency_ms: Mapping[str, float | None]) -> str:
    known = [(name, value) for name, value in latency_ms.items() if value is not None]
    return ", ".join(f"{name} {value:,.1f} ms" for name, value in known) or "none"


def _cpu(report: DayReport) -> str:
    return ", ".join(f"{name} {value:.2f} s" for name, value in report.cpu_seconds.items())


def _http(report: DayReport) -> list[str]:
    http = report.http
    if http is None:
        return []
    answers = ", ".join(f"{said} {count:,}" for said, count in http.answers.items())
    each = ", ".join(f"{name} {value:,.0f} us" for name, value in http.cpu_us_a_request.items())
    without = f"{http.error_percent:.2f} % were no 202; {http.not_accepted:,} requests got none"
    return [
        f"answers    {answers or 'none'}: {without}",
        f"answered   {_latency(http.latency_ms)}",
        f"a request  {each}",
    ]


def _audit(report: DayReport) -> str:
    return f"{len(report.violations)} violations" if report.violations else "no violation"
