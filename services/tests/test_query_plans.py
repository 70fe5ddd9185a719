"""The hot path reads no table as a whole, though its plans were made on empty tables."""

from datetime import timedelta
from functools import partial
from uuid import uuid4

from services.capacity import handlers as capacity_handlers
from services.capacity import store as capacity_store
from services.enrollment import handlers as enrollment_handlers
from services.enrollment import store as enrollment_store
from services.enrollment.model import DeadlinePolicy
from services.student import handlers as student_handlers
from services.student import store as student_store
from shared import inbox
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
    StudentId,
    Term,
)
from shared.tests.hot_path import (
    EVENTS,
    MACHINERY,
    NOW,
    ROWS,
    HotPath,
    assert_no_table_is_read_whole,
    flush,
    section,
    student,
)
from shared.tests.machinery import rows_of, sequential_reads

TERM = Term("T")
POLICY = DeadlinePolicy(30, 60)
SECTIONS_OF_STUDENT = (
    "INSERT INTO section SELECT 'T', 'old-' || n, 1, false, '{}' FROM generate_series(1, $1) AS n"
)


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
