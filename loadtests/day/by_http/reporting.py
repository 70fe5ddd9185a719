"""What a run by HTTP came to: its figures, and whether what was answered is what happened."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

import asyncpg

from loadtests.day.by_http.answers import ACCEPTED, AnswerLog
from loadtests.day.by_http.playing import PlayedByHttp
from loadtests.day.report import HttpReport, percentiles

ASKED_AT_ONCE: Final = 10_000
SHOWN_MAX: Final = 5
DECIDED_AMONG: Final = """
    SELECT enrollment_id::text AS id FROM enrollment
    WHERE enrollment_id = ANY($1::text[]::uuid[])
      AND state IN ('confirmed', 'rejected', 'cancelled')
"""


def http_report_of(log: AnswerLog, cpu_seconds: Mapping[str, float]) -> HttpReport:
    """Do the arithmetic of what was answered."""
    refused = log.asked - log.counts[str(ACCEPTED)]
    return HttpReport(
        answers=dict(Counter(log.counts).most_common()),
        error_percent=round(100 * refused / log.asked, 3) if log.asked else 0.0,
        not_accepted=log.not_accepted,
        latency_ms=percentiles(sorted(log.milliseconds)),
        cpu_us_a_request={
            name: round(seconds * 1e6 / log.requests, 1) for name, seconds in cpu_seconds.items()
        },
    )


def broken_by_answers(played: PlayedByHttp) -> list[str]:
    """Say which answers contradict one another, or leave the client without a way on."""
    log = played.log
    broken = list(log.contradictions)
    if log.not_accepted:
        broken.append(
            f"requests that never got a 202: {log.not_accepted} ({played.delivery_error})"
        )
    if log.without_retry_after:
        broken.append(f"answers of 429 or 503 without Retry-After: {log.without_retry_after}")
    return broken


async def accepted_in_vain(database_url: str, accepted: Iterable[str]) -> list[str]:
    """Say which enrollments were accepted and are not decided, once all is at rest."""
    ids = sorted(set(accepted))
    decided: set[str] = set()
    connection = await asyncpg.connect(database_url)
    try:
        for part in _parts(ids):
            decided |= {row["id"] for row in await connection.fetch(DECIDED_AMONG, part)}
    finally:
        await connection.close()
    lost = [one for one in ids if one not in decided]
    if not lost:
        return []
    return [f"answered 202 and never decided: {len(lost)}, such as {', '.join(lost[:SHOWN_MAX])}"]


def _parts(ids: Sequence[str]) -> Iterable[list[str]]:
    rest = iter(ids)
    while part := list(islice(rest, ASKED_AT_ONCE)):
        yield part
