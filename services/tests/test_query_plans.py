"""The hot path reads no table as a whole, though its plans were made on empty tables."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import asyncpg

from services.capacity import handlers as capacity_handlers
from services.capacity import store as capacity_store
from services.enrollment import handlers as enrollment_handlers
from services.enrollment import store as enrollment_store
from services.enrollment.model import DeadlinePolicy
from services.student import handlers as student_handlers
from services.student import store as student_store
from shared import inbox, offsets, outbox
from shared.database import Database
from shared.events import (
    EnrollmentCancelled,
    EnrollmentEvent,
    EnrollmentOpened,
    EnrollmentRequested,
    SeatReserved,
    SectionPublished,
    StudentPublished,
    StudentValidated,
)
from shared.identifiers import (
    CourseId,
    EnrollmentId,
    PartitionKey,
    SectionId,
    StudentId,
    Term,
    new_event_id,
)
from shared.message import Arrival, Message, Move
from shared.reaction import Batch, Reactions, State, react
from shared.tests.machinery import eventually, rows_of, sequential_reads, url_of
from shared.unit import Load, Save, units

ROWS = 20_000
EVENTS = 60
WARM_UP_BATCHES = 8  # after five executions PostgreSQL keeps a plan
NOW = datetime.now(UTC)
TERM = Term("T")
POLICY = DeadlinePolicy(30, 60)
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
SECTIONS_OF_STUDENT = (
    "INSERT INTO section SELECT 'T', 'old-' || n, 1, false, '{}' FROM generate_series(1, $1) AS n"
)


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


def published_section(number: int) -> SectionPublished:
    return SectionPublished(
        version=number + 1,
        term=TERM,
        section_id=section(number),
        course_id=CourseId("C"),
        capacity=1_000_000,
        credits=0,
    )


async def test_the_batches_of_enrollment_use_indexes_only(enrollment_database: Database) -> None:
    def events() -> list[EnrollmentEvent]:
        requests = [
            EnrollmentRequested(
                enrollment_id=EnrollmentId(uuid4()),
                student_id=student(number),
                term=TERM,
                sections=(section(number),),
            )
            for number in range(EVENTS)
        ]
        answers = [
            SeatReserved(
                enrollment_id=request.enrollment_id,
                student_id=request.student_id,
                term=TERM,
                sections=request.sections,
                seats=(),
            )
            for request in requests
        ]
        return [*requests, *answers]

    class WithTimers(HotPath):
        async def _relay(self) -> None:
            await super()._relay()
            async with self._database.transaction() as transaction:
                await enrollment_store.count_pending(transaction, 2000)
                await enrollment_store.load_overdue(transaction, NOW, 100, POLICY)
                await enrollment_store.forget_early_cancels(transaction, NOW - timedelta(days=21))

    path = WithTimers(
        enrollment_database,
        partial(enrollment_store.load, policy=POLICY),
        enrollment_store.save,
        enrollment_handlers.REACTIONS,
        events,
    )
    fill = (
        """
        INSERT INTO enrollment (enrollment_id, state, student_id, deadline_at)
        SELECT gen_random_uuid(), (ARRAY['confirmed', 'pending'])[1 + (n % 20 = 0)::int], 'S',
               now() + interval '1 hour'
        FROM generate_series(1, $1) AS n
        """,
    )
    await assert_no_table_is_read_whole(enrollment_database, path, fill, ["enrollment"])


async def test_the_batches_of_student_use_indexes_only(student_database: Database) -> None:
    def events() -> list[EnrollmentEvent | SectionPublished | StudentPublished]:
        opened = [
            EnrollmentOpened(
                enrollment_id=EnrollmentId(uuid4()),
                student_id=student(number),
                term=TERM,
                sections=(section(number),),
                deadline_at=NOW,
            )
            for number in range(EVENTS)
        ]
        ended = [
            EnrollmentCancelled(
                enrollment_id=one.enrollment_id,
                student_id=one.student_id,
                term=TERM,
                sections=one.sections,
                was="pending",
            )
            for one in opened
        ]
        students = [
            StudentPublished(version=1, student_id=student(number), max_credits=9)
            for number in range(3)
        ]
        return [*map(published_section, range(3)), *students, *opened, *ended]

    path = HotPath(
        student_database,
        student_store.load,
        student_store.save,
        student_handlers.REACTIONS,
        events,
    )
    fill = (
        "INSERT INTO student SELECT 'old-' || n, 1, false, '{}' FROM generate_series(1, $1) AS n",
        SECTIONS_OF_STUDENT,
        """
        INSERT INTO claim (enrollment_id, student_id, state)
        SELECT gen_random_uuid(), 'old-' || n, 'claimed' FROM generate_series(1, $1) AS n
        """,
    )
    await assert_no_table_is_read_whole(
        student_database, path, fill, ["claim", "student", "section"]
    )


async def test_the_batches_of_capacity_use_indexes_only(capacity_database: Database) -> None:
    def events() -> list[EnrollmentEvent | SectionPublished | StudentPublished]:
        asked = [
            StudentValidated(
                enrollment_id=EnrollmentId(uuid4()),
                student_id=student(number),
                term=TERM,
                sections=(section(number), section(number + 1)),
                credits=3,
            )
            for number in range(EVENTS)
        ]
        ended = [
            EnrollmentCancelled(
                enrollment_id=one.enrollment_id,
                student_id=one.student_id,
                term=TERM,
                sections=one.sections,
                was="confirmed",
            )
            for one in asked[::2]
        ]
        return [*map(published_section, range(EVENTS)), *asked, *ended]

    path = HotPath(
        capacity_database,
        capacity_store.load,
        capacity_store.save,
        capacity_handlers.REACTIONS,
        events,
    )
    fill = (
        """
        INSERT INTO section
        SELECT 'T', 'old-' || n, 1, 1, 'open', 0, 0 FROM generate_series(1, $1) AS n
        """,
        """
        INSERT INTO reservation (enrollment_id, student_id, state)
        SELECT gen_random_uuid(), 'S', 'reserved' FROM generate_series(1, $1)
        """,
    )
    await assert_no_table_is_read_whole(capacity_database, path, fill, ["reservation", "section"])


async def test_renewing_the_inbox_reads_no_partition_whole(capacity_database: Database) -> None:
    async with capacity_database.transaction() as transaction:
        await inbox.renew_partitions(transaction, NOW)
    await rows_of(capacity_database, MACHINERY[0], ROWS)
    await flush(capacity_database)
    before = await sequential_reads(capacity_database, ["inbox_default"])

    async with capacity_database.transaction() as transaction:
        await inbox.renew_partitions(transaction, NOW)
    await flush(capacity_database)

    assert await sequential_reads(capacity_database, ["inbox_default"]) == before


async def test_a_request_reads_no_claim_of_the_terms_before(student_database: Database) -> None:
    request = EnrollmentOpened(
        enrollment_id=EnrollmentId(uuid4()),
        student_id=StudentId("S"),
        term=TERM,
        sections=(section(1),),
        deadline_at=NOW,
    )
    await rows_of(
        student_database,
        """
        INSERT INTO claim (enrollment_id, student_id, state, term)
        SELECT gen_random_uuid(), 'S', 'claimed', 'old-' || n FROM generate_series(1, $1) AS n
        """,
        ROWS,
    )

    async with student_database.transaction() as transaction:
        await student_store.load(transaction, [request])
    await flush(student_database)

    read = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'claim_held'"
    assert await rows_of(student_database, read) == [(0,)]
