"""The audit: wait for rest, read topics and tables, judge them; or judge a dump of the topics."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from loadtests.auditor.contract import CANCELLED, CONFIRMED, INGRESS, OPENED, REJECTED
from loadtests.auditor.databases import connect, read_tables, read_trail_of_ingress
from loadtests.auditor.dumps import read
from loadtests.auditor.history import History, read_history
from loadtests.auditor.judges.seats import last_entries, read_ledger
from loadtests.auditor.judging import judge
from loadtests.auditor.report import Report
from loadtests.auditor.rest import Motion, measure, wait_for_rest
from loadtests.auditor.tables import Tables
from loadtests.auditor.topics import Topics, open_topics

STATES: Final = {
    OPENED: "pending",
    CONFIRMED: "confirmed",
    REJECTED: "rejected",
    CANCELLED: "cancelled",
}


async def audit(
    kafka_url: str,
    database_urls: Mapping[str, str],
    *,
    rest_seconds: float = 60,
    on_progress: Callable[[str], None],
) -> Report:
    """Audit a running system. Judges nothing where it does not come to rest in time.

    A database of the ingress may be named too: of that, the audit trail is judged, if it has one.
    """
    with open_topics(kafka_url) as topics:
        async with connect(database_urls) as connections:
            rest, moving = await wait_for_rest(
                topics, connections, rest_seconds=rest_seconds, on_progress=on_progress
            )
            if moving:
                return Report(still_moving=moving)
            on_progress("reading tables and topics")
            tables = await read_tables(connections)
            history = await asyncio.to_thread(_read_history, topics, rest)
            if await measure(topics, connections) != rest:
                return Report(still_moving=("something moved while it was read: audit again",))
    trail = await read_trail_of_ingress(database_urls.get(INGRESS))
    if trail is not None:
        tables = replace(tables, trails={**tables.trails, INGRESS: trail})
    on_progress(f"judging {sum(history.counts.values())} messages")
    return make_report(history, tables)


def _read_history(topics: Topics, rest: Motion) -> History:
    return read_history(
        topics.read(), {place: extent.end for place, extent in rest.extents.items()}
    )


def make_report(history: History, tables: Tables | None = None) -> Report:
    """Judge what was read, and count it; a recorded day has no tables."""
    known = tables or Tables()
    return Report(
        violations=judge(history, tables),
        unchecked=tuple(f"events against tables: {gap}" for gap in history.gaps),
        enrollments_by_state=dict(Counter(row.state for row in known.enrollments.values())),
        sections=len(known.sections),
        seats_reserved=sum(row.reserved for row in known.sections.values()),
        events_by_topic=dict(history.counts),
        excused_enrollments=len(known.parked),
    )


def audit_dump(lines: Iterable[bytes], name: str, *, on_progress: Callable[[str], None]) -> Report:
    """Audit a dump by itself; `name` is what errors call it.

    Of one that was taken in motion, what is only missing is counted as still open.
    """
    on_progress(f"reading {name}")
    cut, history = read(lines, name)
    on_progress(f"judging {sum(history.counts.values())} messages")
    found = judge(history, excuses=cut.excuses)
    late = Counter(one.awaited for one in found if one.awaited and not cut.is_at_rest)
    sections = last_entries(read_ledger(history.events))
    return Report(
        violations=tuple(one for one in found if one.awaited not in late),
        still_open={awaited.value: count for awaited, count in late.items()},
        unchecked=("the tables, which a dump does not hold",),
        enrollments_by_state=_states_told(history),
        sections=len(sections),
        seats_reserved=sum(row.reserved for row in sections.values()),
        events_by_topic=dict(history.counts),
        excused_enrollments=len(cut.excuses.parked),
    )


def _states_told(history: History) -> dict[str, int]:
    """Count what the last event of each enrollment tells; they are in one partition."""
    told = {e.enrollment_id: STATES[e.type] for e in history.events if e.type in STATES}
    return dict(Counter(told.values()))
