"""A member of a group on a real broker, whose batches are committed to a real database."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from shared import offsets
from shared.consumer import POLL_SECONDS, BatchConsumer
from shared.consumer_settings import consumer_settings
from shared.database import Database
from shared.desk import ReadBatch
from shared.identifiers import PartitionKey
from shared.message import Interest
from shared.streams import BatchRun
from shared.tests.machinery import (
    Servers,
    eventually,
    rows_of,
)

TAKEN = "CREATE TABLE taken (topic text, partition int, number bigint, value text)"
SESSION_SECONDS = 6.0
IGNORED, PATIENT = (("interest", b"none"),), (("interest", b"later"),)
INTERESTS = {b"now": Interest.NOW, b"none": Interest.NONE, b"later": Interest.LATER}


class DatabaseDesk:
    """Commits what each batch brought, and its offsets; a batch waits while the desk is held."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._loop = asyncio.get_running_loop()
        self.may_commit = asyncio.Event()
        self.may_commit.set()
        self.started: list[ReadBatch] = []
        self.ended_badly: list[BaseException] = []
        self.error: Exception | None = None
        self.closed: frozenset[str] = frozenset()
        self.reads_that_fail = 0

    def start(self, batch: ReadBatch) -> BatchRun:
        run = BatchRun(batch, self._loop)
        asyncio.run_coroutine_threadsafe(run.work(self._handle), self._loop)
        return run

    async def _handle(self, batch: ReadBatch) -> None:
        self.started.append(batch)
        try:
            async with self._database.transaction() as transaction:
                await self.may_commit.wait()
                self._raise_error()
                await offsets.advance(transaction, batch.moves)
                records = [
                    (m.topic, m.partition, m.offset, (m.value or b"").decode())
                    for m in batch.messages
                ]
                await transaction.copy("taken", ("topic", "partition", "number", "value"), records)
        except BaseException as error:
            self.ended_badly.append(error)
            raise

    def _raise_error(self) -> None:
        if self.error is not None:
            raise self.error

    def read_offsets(self) -> dict[PartitionKey, int]:
        if self.reads_that_fail:
            self.reads_that_fail -= 1
            raise ConnectionRefusedError
        return asyncio.run_coroutine_threadsafe(self._read(), self._loop).result(10)

    async def _read(self) -> dict[PartitionKey, int]:
        async with self._database.transaction() as transaction:
            return await offsets.read(transaction)

    def closed_topics(self) -> frozenset[str]:
        return self.closed


@asynccontextmanager
async def member(
    servers: Servers,
    group: str,
    topics: Sequence[str],
    desk: DatabaseDesk,
    instance: str = "1",
    interval_seconds_max: float = 0.025,
    batch_size_max: int = 100,
    poll_seconds: float = POLL_SECONDS,
    **settings: Any,
) -> AsyncIterator[BatchConsumer]:
    """Run a member of a group as long as the block; static, so that it does not leave it."""
    made = consumer_settings(servers.kafka_url, group, instance, SESSION_SECONDS)
    consumer = BatchConsumer(
        made | settings,
        topics,
        desk,
        interest_in=lambda _topic, headers: INTERESTS[headers.get("interest", b"now")],
        batch_size_max=batch_size_max,
        interval_seconds_max=interval_seconds_max,
        poll_seconds=poll_seconds,
    )
    consumer.start()
    try:
        yield consumer
    finally:
        desk.may_commit.set()
        consumer.stop()
        await asyncio.to_thread(consumer.join, 15)
        assert not consumer.is_alive()


async def taken(database: Database, topic: str) -> list[str]:
    rows = await rows_of(
        database, "SELECT value FROM taken WHERE topic = $1 ORDER BY partition, number", topic
    )
    return [str(row[0]) for row in rows]


async def until_taken(database: Database, topic: str, values: Sequence[str]) -> None:
    """Wait until exactly these were taken."""

    async def are_there() -> bool:
        return len(await taken(database, topic)) >= len(values)

    await eventually(are_there, what=f"{len(values)} values taken")
    assert await taken(database, topic) == list(values)


async def put_offset(database: Database, topic: str, offset: int, partition: int = 0) -> None:
    await rows_of(
        database,
        "INSERT INTO consumer_offset VALUES ($1, $2, $3)"
        " ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset",
        topic,
        partition,
        offset,
    )


def numbers(first: int, after: int, prefix: str = "") -> list[str]:
    return [f"{prefix}{number:03}" for number in range(first, after)]
