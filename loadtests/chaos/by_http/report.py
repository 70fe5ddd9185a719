"""What the clients of the ingress saw, as JSON and as lines of text."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from loadtests.chaos.by_http.asks import Act
from loadtests.chaos.by_http.log import HttpLog, Try

SHOWN_MAX: Final = 12


@dataclass(frozen=True)
class HttpReport:
    """Shares are of tries or asks whose answer was neither lost nor a server's error (5xx)."""

    asks: int
    tries: int
    enrollments: int
    repeats: int  # tries under a key, or with a body, that had been sent before
    replays: int  # of which the answer said that it is one
    answers: Mapping[str, int]
    available_at_first: Mapping[str, float]  # of the first tries, by act and of all
    available_at_last: float  # of the asks, once they were repeated


def http_report(log: HttpLog) -> HttpReport:
    """Count what was answered; a try that the client itself gave up is not counted as a first."""
    first = [one for one in log.tries if one.attempt == 0 and not one.has_hung_up]
    by_act = {act.value: _available(one for one in first if one.ask.act is act) for act in Act}
    enrolling = [one for one in log.tries if one.ask.act is Act.ENROLL]
    last = log.last_tries().values()
    answered = sum(one.answer.is_available for one in last)
    return HttpReport(
        asks=log.asks,
        tries=len(log.tries),
        enrollments=len({one.answer.enrollment_id for one in log.accepted(Act.ENROLL)}),
        repeats=len(enrolling) - len({one.ask.request for one in enrolling}),
        replays=sum(one.answer.is_replay for one in log.tries),
        answers=dict(Counter(one.answer.said for one in log.tries).most_common()),
        available_at_first={"all": _available(first), **by_act},
        available_at_last=round(answered / log.asks, 4) if log.asks else 0.0,
    )


def _available(tries: Iterable[Try]) -> float:
    found = [one.answer.is_available for one in tries]
    return round(sum(found) / len(found), 4) if found else 0.0


def http_lines(report: HttpReport) -> list[str]:
    """Give the report for people."""
    answers = [f"{said} {count:,}" for said, count in report.answers.items()][:SHOWN_MAX]
    by_act = ", ".join(f"{act} {share:.1%}" for act, share in report.available_at_first.items())
    again = f"{report.repeats:,} repeats, {report.replays:,} replays"
    return [
        f"by HTTP: {report.asks:,} asks, {report.tries:,} tries, {again}",
        f"  {report.enrollments:,} enrollments accepted",
        f"  answers: {', '.join(answers)}",
        f"  available at the first try: {by_act}; with repeats: {report.available_at_last:.1%}",
    ]
