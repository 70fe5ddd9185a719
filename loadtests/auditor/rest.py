"""Wait until nothing moves any more, or say what still does."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from loadtests.auditor.contract import CATALOGS, ENROLLMENT, READERS
from loadtests.auditor.databases import Connection, Connections
from loadtests.auditor.topics import Extent, Place, Topics

POLL_SECONDS = 0.2
PROGRESS_SECONDS = 2.0


class Lag(NamedTuple):
    """How far a service's consumer is behind."""

    service: str
    topic: str
    partition: int
    messages: int


@dataclass(frozen=True)
class Motion:
    """What moves at one moment; two equal ones without anything in motion are rest."""

    extents: Mapping[Place, Extent]
    next_offsets: Mapping[tuple[str, Place], int]
    outboxes: Mapping[str, int]
    lags: tuple[Lag, ...]
    pending: int
    overdue: int

    def describe(self) -> tuple[str, ...]:
        """Say what moves, one line each."""
        lines = [
            f"outbox of {service}: {rows} rows" for service, rows in self.outboxes.items() if rows
        ]
        lines += [
            f"consumer of {lag.service}: {lag.messages} behind on {lag.topic}/{lag.partition}"
            for lag in self.lags
        ]
        if self.pending:
            lines.append(f"enrollments: {self.pending} pending, {self.overdue} past their deadline")
        return tuple(lines)


async def wait_for_rest(
    topics: Topics,
    connections: Connections,
    *,
    rest_seconds: float,
    on_progress: Callable[[str], None],
) -> tuple[Motion, tuple[str, ...]]:
    """Return the state of rest, and nothing else; or, when time is up, what still moves."""
    loop = asyncio.get_running_loop()
    give_up_at, told_at = loop.time() + rest_seconds, float("-inf")
    previous: Motion | None = None
    while True:
        motion = await measure(topics, connections)
        moving = motion.describe()
        if not moving and motion == previous:
            return motion, ()
        if loop.time() >= give_up_at and (moving or previous is not None):
            return motion, moving or ("messages still come: the ends of the topics move",)
        if moving and loop.time() >= told_at + PROGRESS_SECONDS:
            on_progress("waiting for rest: " + "; ".join(moving))
            told_at = loop.time()
        previous = motion
        await asyncio.sleep(POLL_SECONDS)


async def measure(topics: Topics, connections: Connections) -> Motion:
    """Measure everything once."""
    next_offsets: dict[tuple[str, Place], int] = {}
    outboxes = {}
    parked: set[str] = set()
    for service, connection in connections.items():
        for row in await connection.fetch(
            "SELECT topic, partition, next_offset FROM consumer_offset"
        ):
            next_offsets[service, (row["topic"], row["partition"])] = row["next_offset"]
        outboxes[service] = await connection.fetchval("SELECT count(*) FROM outbox")
        parked |= await _parked(connection)
    pending, overdue = await _pending(connections[ENROLLMENT], parked)
    extents = await asyncio.to_thread(topics.extents)
    lags = await asyncio.to_thread(_lags, topics, next_offsets, extents)
    return Motion(extents, next_offsets, outboxes, lags, pending, overdue)


async def _parked(connection: Connection) -> set[str]:
    rows = await connection.fetch("SELECT enrollment_id::text AS id FROM dead_letter WHERE holds")
    return {row["id"] for row in rows}


async def _pending(connection: Connection, parked: set[str]) -> tuple[int, int]:
    """Count those that no dead letter keeps pending, and of them those past their deadline."""
    rows = await connection.fetch(
        "SELECT enrollment_id::text AS id, deadline_at FROM enrollment WHERE state = 'pending'"
    )
    now = datetime.now(UTC)
    moving = [row for row in rows if row["id"] not in parked]
    return len(moving), sum(row["deadline_at"] < now for row in moving)


def _lags(
    topics: Topics,
    next_offsets: Mapping[tuple[str, Place], int],
    extents: Mapping[Place, Extent],
) -> tuple[Lag, ...]:
    """Compare what each service has read with what there is."""
    lags = []
    for service, read in READERS.items():
        for place in (place for place in extents if place[0] in read):
            position = max(next_offsets.get((service, place), 0), extents[place].begin)
            behind = extents[place].end - position
            if behind > 0 and place[0] in CATALOGS and not topics.has_records(place, position):
                continue  # compaction took the records between there and the end
            if behind > 0:
                lags.append(Lag(service, *place, behind))
    return tuple(lags)
