"""Runs a hot path on full tables with plans made on empty ones, and sees what it reads."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import asyncpg

from shared import offsets, outbox
from shared.database import Database
from shared.events import EnrollmentEvent, SectionPublished, StudentPublished
from shared.identifiers import PartitionKey, SectionId, StudentId, new_event_id
from shared.message import Arrival, Message, Move
from shared.reaction import Batch, Reactions, State, react
from shared.tests.machinery import eventually, rows_of, sequential_reads, url_of
from shared.unit import Load, Save, units

ROWS = 20_000
EVENTS = 60
WARM_UP_BATCHES = 8  # after five executions PostgreSQL keeps a plan
NOW = datetime.now(UTC)
MACHINERY = (
    "INSERT INTO inbox SELECT gen_random_uuid() FROM generate_series(1, $1)",
    """
    INSERT INTO outbox (event_id, event_type, topic, key, subject, occurred_at, body)
    SELECT gen_random_uuid(), 'T', 't', 'k', 's', now(), '' FROM generate_series(1, $1)
    """,
    """
    INSERT INTO dead_letter (topic, partition, "offset", headers, enrollment_id, reason, detail,
                             holds, parked_at)
    SELECT 't', 0, n, '[]', gen_random_uuid(), '', '', true, now()
    FROM generate_series(1, $1) AS n
    """,
)
MACHINERY_TABLES = ("inbox_default", "outbox", "dead_letter")


def student(number: int) -> StudentId:
    return StudentId(f"S{number % EVENTS}")


def section(number: int) -> SectionId:
    return SectionId(f"A{number % EVENTS}")


class HotPath:
    """Runs batch after batch as a service does, on one connection that keeps its plans."""

    def __init__(
        self,
        database: Database,
        load: Load[State],
        save: Save[State],
        reactions: Reactions[State],
        events: Callable[[], Sequence[EnrollmentEvent | SectionPublished | StudentPublished]],
    ) -> None:
        self._database = database
        self._open = units(database, load, save, new_event_id)
        self._react = partial(react, reactions=reactions, now=NOW, uses_inbox=lambda _: True)
        self._events = events
        self._next = 0

    async def run(self, batches: int) -> None:
        for _ in range(batches):
            await self._batch()
            await self._relay()

    async def _batch(self) -> None:
        arrivals = [
            Arrival(Message("t", 0, self._next + n, None, b"", ()), new_event_id(), event, None)
            for n, event in enumerate(self._events())
        ]
        move = Move(self._next, self._next + len(arrivals))
        self._next = move.next
        async with self._open() as unit:
            await self._react(unit, Batch(arrivals, (), {PartitionKey("t", 0): move}))
        async with self._database.transaction() as transaction:
            await offsets.read(transaction)

    async def _relay(self) -> None:
        async with self._database.transaction() as transaction:
            rows = await outbox.oldest(transaction, 1000)
            await outbox.delete(transaction, [row.id for row in rows[:EVENTS]])
            await outbox.depth(transaction, 100)


async def assert_no_table_is_read_whole(
    database: Database, path: HotPath, fill: Sequence[str], tables: Sequence[str]
) -> None:
    """Let plans be made on empty tables, fill the tables, and see what more batches read."""
    everything = [*tables, *MACHINERY_TABLES]
    await path.run(WARM_UP_BATCHES)
    for statement in (*MACHINERY, *fill):
        await rows_of(database, statement, ROWS)
    await flush(database)
    before = await sequential_reads(database, everything)

    await path.run(WARM_UP_BATCHES)
    await rows_of(database, "ANALYZE")
    await path.run(WARM_UP_BATCHES)
    await flush(database)

    after = await sequential_reads(database, everything)
    assert {name: after[name] - before[name] for name in everything} == dict.fromkeys(everything, 0)
    await assert_that_reading_one_whole_shows(database, everything[0], after[everything[0]])


async def flush(database: Database) -> None:
    """Have the session's statistics written at its next pause."""
    await rows_of(database, "SELECT pg_stat_force_next_flush()")
    await rows_of(database, "SELECT 1")


async def assert_that_reading_one_whole_shows(database: Database, table: str, before: int) -> None:
    driver = await asyncpg.connect(url_of(database))
    try:
        await driver.execute("SET enable_indexscan = off; SET enable_indexonlyscan = off")
        await driver.fetch(f"SELECT count(*) FROM {table}")
        await driver.fetch("SELECT pg_stat_force_next_flush()")
    finally:
        await driver.close()

    async def has_grown() -> bool:
        return (await sequential_reads(database, [table]))[table] >= before + ROWS

    await eventually(has_grown, 10)
