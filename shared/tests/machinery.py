"""What the tests of the machinery share: topics, a proxy that can be cut, a tiny service."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from inspect import isawaitable
from itertools import count
from typing import Protocol
from uuid import UUID, uuid4

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka import Message as ClientMessage
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from sqlalchemy import Connection, MetaData

from shared.codec import encode_body, encode_headers, raw_headers
from shared.database import Database, Transaction
from shared.desk import ReadBatch
from shared.errors import RivalRowError
from shared.events import EnrollmentEvent, Event, StudentValidated
from shared.identifiers import (
    EnrollmentId,
    EventId,
    PartitionKey,
    SectionId,
    StudentId,
    Term,
    new_event_id,
)
from shared.message import Emitted, Headers, Message, Move
from shared.reaction import Context, Reactions
from shared.retry import Backoff, retry

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TOPIC = "student.events"  # of the batches that the tests make up
_NUMBERS = count(1)


class Servers(Protocol):
    """The real servers; the shared code may not know the package that runs them."""

    @property
    def kafka_url(self) -> str: ...

    @property
    def postgres_url(self) -> str: ...


class PrivateServers(Servers, Protocol):
    """Servers that one test has for itself, and may stop."""

    @property
    def kafka_pid(self) -> int: ...


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]], seconds: float = 15.0, what: str = ""
) -> float:
    """Wait until something is so, and tell how long it took; fails after `seconds`."""
    began = time.monotonic()
    while True:
        answer = condition()
        if await answer if isawaitable(answer) else answer:
            return time.monotonic() - began
        assert time.monotonic() < began + seconds, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.02)


# Kafka


@cache
def _admin(kafka_url: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka_url})


@cache
def _producer(kafka_url: str) -> Producer:
    in_order = {"max.in.flight.requests.per.connection": 1}  # a retry would else change it
    return Producer({"bootstrap.servers": kafka_url, "linger.ms": 1, "log_level": 2} | in_order)


def unique(prefix: str) -> str:
    """Make a name that no other test uses."""
    return f"{prefix}-{next(_NUMBERS)}-{uuid4().hex[:6]}"


def new_topic(kafka_url: str, partitions: int = 1, config: dict[str, str] | None = None) -> str:
    """Make a topic of the test's own."""
    name = unique("test")
    topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=config or {})
    _admin(kafka_url).create_topics([topic])[name].result(timeout=20)
    return name


def produce(
    kafka_url: str,
    topic: str,
    values: Iterable[str],
    partition: int = 0,
    headers: Headers = (),
) -> None:
    """Write values to one partition, in order, and wait for the acknowledgement."""
    producer = _producer(kafka_url)
    for value in values:
        producer.produce(topic, value.encode(), partition=partition, headers=list(headers))
    assert producer.flush(20) == 0


def ends_of(kafka_url: str, topics: Iterable[str]) -> dict[PartitionKey, int]:
    """Give the next offset of each partition."""
    consumer = Consumer(
        {"bootstrap.servers": kafka_url, "group.id": unique("guest"), "log_level": 2}
    )
    try:
        places = [
            TopicPartition(topic, number)
            for topic in topics
            for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ]
        return {
            PartitionKey(place.topic, place.partition): consumer.get_watermark_offsets(
                place, timeout=10
            )[1]
            for place in places
        }
    finally:
        consumer.close()


def read_topic(kafka_url: str, topic: str) -> list[ClientMessage]:
    """Read a topic from its beginning to the end it has now, partition by partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka_url,
            "group.id": unique("reader"),
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 2,
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        found: list[ClientMessage] = []
        open_partitions, deadline = set(partitions), time.monotonic() + 20
        while open_partitions:
            assert time.monotonic() < deadline
            message = consumer.poll(0.1)
            if message is None:
                continue
            error = message.error()
            if error is None:
                found.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition())
        return found
    finally:
        consumer.close()


def headers_of(message: ClientMessage) -> list[tuple[str, bytes]]:
    """Read the headers of a message."""
    return list(raw_headers(message.headers()))


def values_of(kafka_url: str, topic: str) -> list[str]:
    """Read the values of a topic."""
    return [(message.value() or b"").decode() for message in read_topic(kafka_url, topic)]


# PostgreSQL


def url_of(database: Database) -> str:
    """Name a database as operators do."""
    url = database.engine.url.set(drivername="postgresql")
    return url.render_as_string(hide_password=False)


async def rows_of(database: Database, sql: str, *arguments: object) -> list[tuple[object, ...]]:
    """Run one statement in a transaction of its own."""
    async with database.transaction() as transaction:
        return [tuple(row.values()) for row in await transaction.fetch(sql, *arguments)]


class PlannedError(Exception):
    """An error that a test brings about."""


@asynccontextmanager
async def rolled_back(database: Database) -> AsyncIterator[Transaction]:
    """Lend a transaction that an error ends after the block."""
    with suppress(PlannedError):
        async with database.transaction() as transaction:
            yield transaction
            raise PlannedError


async def value_of(database: Database, sql: str, *arguments: object) -> object:
    """Run one statement that gives one value."""
    return (await rows_of(database, sql, *arguments))[0][0]


async def offset_of(database: Database, topic: str, partition: int = 0) -> int | None:
    """Read how far the database is."""
    sql = "SELECT next_offset FROM consumer_offset WHERE topic = $1 AND partition = $2"
    rows = await rows_of(database, sql, topic, partition)
    return int(str(rows[0][0])) if rows else None


async def schema_differences(database: Database, metadata: MetaData) -> list[object]:
    """Compare the tables of a store with those that its migrations have made."""

    def compare(connection: Connection) -> list[object]:
        def is_ours(_object: object, name: str | None, kind: str, *_: object) -> bool:
            return kind != "index" and (kind != "table" or name in metadata.tables)

        options = {"compare_type": True, "include_object": is_ours}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, metadata))

    async with database.engine.connect() as connection:
        return await connection.run_sync(compare)


async def sequential_reads(database: Database, tables: Sequence[str]) -> dict[str, int]:
    """Count the rows that were read by scanning whole tables, in every session so far."""
    driver = await asyncpg.connect(url_of(database))
    try:
        await driver.execute("SELECT pg_stat_clear_snapshot()")
        rows = await driver.fetch(
            "SELECT relname, seq_tup_read FROM pg_stat_user_tables WHERE relname = ANY($1)", tables
        )
    finally:
        await driver.close()
    return {row["relname"]: row["seq_tup_read"] for row in rows}


async def waiting_for_locks(database: Database) -> int:
    """Count the sessions that wait for a lock in this database."""
    sql = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
    """
    return int(str(await value_of(database, sql)))


async def again_if_rivalled(work: Callable[[], Awaitable[None]]) -> None:
    """Do as a worker does where a rival has made a row; a deadlock is not forgiven."""
    await retry(
        work,
        attempts=5,
        backoff=Backoff(0, 0),
        is_transient=lambda error: isinstance(error, RivalRowError),
    )


async def meet_in_the_middle(
    database: Database,
    middle: Callable[[Transaction], Awaitable[object]],
    forth: Callable[[], Coroutine[None, None, None]],
    back: Callable[[], Coroutine[None, None, None]],
) -> None:
    """Let two transactions go over the same rows while another holds one in the middle.

    Those that go in opposite orders each have one half then, and want the other's: a deadlock.
    """
    async with asyncio.timeout(20):
        async with database.transaction() as holder:
            await middle(holder)
            rivals = [asyncio.create_task(forth()), asyncio.create_task(back())]

            async def both_wait() -> bool:
                return await waiting_for_locks(database) == 2

            await eventually(both_wait)
        await asyncio.gather(*rivals)


class Proxy:
    """A TCP proxy in front of a server; while it is cut, connections are refused and broken."""

    def __init__(self, host: str, port: int, goodbye_seconds: float) -> None:
        self._target = (host, port)
        self._goodbye_seconds = goodbye_seconds
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def open(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Refuse new connections and break those that there are."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_connection(*self._target)
        if self._server is None or not self._server.is_serving():
            writer.transport.abort()  # it came just before the cut
            back_writer.transport.abort()
            return
        self._writers |= {writer, back_writer}
        for source, sink in ((reader, back_writer), (back_reader, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
            await asyncio.sleep(self._goodbye_seconds)
        except OSError:
            return  # cut
        finally:
            sink.close()


@asynccontextmanager
async def proxied(
    database: Database, goodbye_seconds: float = 0
) -> AsyncIterator[tuple[Proxy, str]]:
    """Put a proxy in front of a database; give it, and the URL that leads through it.

    A connection that the server ends stays open for `goodbye_seconds` after its last words.
    """
    url = database.engine.url
    proxy = Proxy(url.host or "", url.port or 0, goodbye_seconds)
    await proxy.open()
    through = url.set(drivername="postgresql", host="127.0.0.1", port=proxy.port)
    try:
        yield proxy, through.render_as_string(hide_password=False)
    finally:
        await proxy.cut()


# A tiny service: it keeps, for each enrollment, how often it was seen and the last credits.

TALLY = """
CREATE TABLE tally (
    enrollment_id uuid PRIMARY KEY,
    times integer NOT NULL,
    credits integer NOT NULL CHECK (credits < 100)
)
"""
REFUSED_CREDITS = 100  # by the table
RAISING_CREDITS = 666  # by the handler


class TallyState:
    """The events of a batch that were decided."""

    def __init__(self) -> None:
        self.decided: list[StudentValidated] = []


async def make_tally(database: Database) -> None:
    """Make the table of the tiny service."""
    async with database.transaction() as transaction:
        await transaction.execute(TALLY)


async def load(_transaction: Transaction, _events: Sequence[Event]) -> TallyState:
    """Begin a batch."""
    return TallyState()


async def save(transaction: Transaction, state: TallyState) -> None:
    """Count the events of a batch, in the order of their decision."""
    for event in state.decided:
        await transaction.execute(
            """
            INSERT INTO tally AS t VALUES ($1, 1, $2) ON CONFLICT (enrollment_id) DO UPDATE
            SET times = t.times + 1, credits = excluded.credits
            """,
            event.enrollment_id,
            event.credits,
        )


def _decide(state: TallyState, event: StudentValidated, context: Context) -> Sequence[Emitted]:
    if event.credits == RAISING_CREDITS:
        raise ValueError("a decision that raises")
    state.decided.append(event)
    return context.emit([event])


REACTIONS: Reactions[TallyState] = {StudentValidated: _decide}


async def tally_of(database: Database) -> dict[UUID, tuple[int, int]]:
    """Read how often each enrollment was seen, and its last credits."""
    rows = await rows_of(database, "SELECT enrollment_id, times, credits FROM tally")
    return {UUID(str(row[0])): (int(str(row[1])), int(str(row[2]))) for row in rows}


def validated(credits_: int = 3, enrollment_id: EnrollmentId | None = None) -> StudentValidated:
    """Make an event that the tiny service counts."""
    return StudentValidated(
        enrollment_id=enrollment_id or EnrollmentId(uuid4()),
        student_id=StudentId("S1"),
        term=Term("T"),
        sections=(SectionId("A"),),
        credits=credits_,
    )


def message_of(
    event: EnrollmentEvent, offset: int, event_id: EventId | None = None, topic: str = TOPIC
) -> Message:
    """Make the message of an event, as the consumer would have read it."""
    headers = encode_headers(
        event_id=event_id or new_event_id(),
        event_type=type(event).__name__,
        source="/test",
        subject=str(event.enrollment_id),
        occurred_at=NOW,
        traceparent=TRACEPARENT,
    )
    raw = tuple((name, value if isinstance(value, bytes) else b"") for name, value in headers)
    return Message(topic, 0, offset, event.student_id.encode(), encode_body(event), raw)


def batch_of(messages: Sequence[Message], expected: int | None = None) -> ReadBatch:
    """Make a batch of one partition."""
    first = messages[0].offset if expected is None else expected
    key = PartitionKey(messages[0].topic, 0)
    return ReadBatch(messages, {key: Move(first, messages[-1].offset + 1)})
