"""Neither what keeps the view nor what is asked of it reads a table as a whole."""

from uuid import uuid4

from services.enrollment.ingress.tests.test_view_store import project
from services.enrollment.ingress.tests.view_making import (
    HAPPY,
    S1,
    STORIES,
    TERM,
    arrival_of,
    at,
    published,
)
from services.enrollment.ingress.view import queries, store
from services.enrollment.ingress.view.handlers import REACTIONS
from services.enrollment.ingress.view.model import SagaStatus
from services.enrollment.ingress.view.queries import END, SagaFilter
from shared.database import Database, Transaction
from shared.events import EnrollmentEvent, SectionPublished, StudentPublished
from shared.identifiers import EnrollmentId, SectionKey
from shared.tests.hot_path import (
    EVENTS,
    NOW,
    HotPath,
    assert_no_table_is_read_whole,
    flush,
    section,
    student,
)
from shared.tests.machinery import eventually, rows_of

TABLES = ("viewed_enrollment", "viewed_section", "viewed_total")
FILL = (
    """
    INSERT INTO viewed_enrollment (
        enrollment_id, student_id, status, requested_at, happenings, settled_at, is_pruned)
    SELECT gen_random_uuid(), 'old-' || n % 1000,
           (ARRAY['confirmed', 'pending', 'rejected', 'cancelled'])[1 + n % 4],
           now() - n * interval '1 minute',
           CASE WHEN n % 3 = 0 THEN 'q1' END,
           CASE WHEN n % 50 <> 0 AND n % 4 <> 1 THEN now() - n * interval '1 minute' END,
           n % 3 <> 0
    FROM generate_series(1, $1) AS n
    """,
    """
    INSERT INTO viewed_section
    SELECT 'T' || n % 5, 'old-' || n, 'C', 'open', 3, 30, 1, 0, 0
    FROM generate_series(1, $1) AS n
    """,
)
FILTERS = (
    SagaFilter(),
    *(SagaFilter(status) for status in SagaStatus),
    *(SagaFilter(status, S1, NOW, is_running=True) for status in SagaStatus),
    SagaFilter(is_running=True),
    SagaFilter(student_id=S1),
    SagaFilter(requested_before=NOW),
)


def events() -> list[EnrollmentEvent | SectionPublished | StudentPublished]:
    """Whole sagas of new enrollments, and some sections."""
    told: list[EnrollmentEvent | SectionPublished | StudentPublished] = [
        published(version=1, section=section(number)) for number in range(3)
    ]
    for number in range(EVENTS // 4):
        for story in (HAPPY, STORIES["full"]):
            ids = {"enrollment_id": EnrollmentId(uuid4()), "student_id": student(number)}
            told.extend(event.model_copy(update=ids) for event in story)
    return told


class WithReaders(HotPath):
    """Asks everything after each batch, and prunes, on the same connection."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, store.load, store.save, REACTIONS, events)

    async def _relay(self) -> None:
        await super()._relay()
        ids = [EnrollmentId(uuid4()) for _ in range(20)]
        async with self._database.transaction() as transaction:
            await store.prune(transaction, NOW, 20)
            await queries.find(transaction, ids)
            await queries.find_changed(transaction, dict.fromkeys(ids, 0))
            for wanted in FILTERS:
                await queries.sagas(transaction, wanted, END, 20)
            await queries.section(transaction, SectionKey(TERM, section(1)))
            await queries.sections(transaction, TERM, section(1), 20)
            await queries.totals(transaction)


async def test_the_view_uses_indexes_only(ingress_database: Database) -> None:
    path = WithReaders(ingress_database)

    await assert_no_table_is_read_whole(ingress_database, path, FILL, TABLES)


async def rows_read(transaction: Transaction) -> int:
    """Count the enrollments that this transaction has read so far, by whatever plan."""
    rows = await transaction.fetch(
        """
        SELECT (seq_tup_read + idx_tup_fetch)::bigint AS rows_read
        FROM pg_stat_xact_user_tables WHERE relname = 'viewed_enrollment'
        """
    )
    read: int = rows[0]["rows_read"]
    return read


async def test_a_page_reads_little_more_than_it_shows_however_many_there_are(
    ingress_database: Database,
) -> None:
    async with ingress_database.transaction() as transaction:
        await transaction.execute(FILL[0], 50_000)
    await rows_of(ingress_database, "ANALYZE")
    read = {}

    async with ingress_database.transaction() as transaction:
        for wanted in (SagaFilter(), *(SagaFilter(status) for status in SagaStatus)):
            before = await rows_read(transaction)
            assert len(await queries.sagas(transaction, wanted, END, 20)) == 20
            read[wanted.status] = await rows_read(transaction) - before

    assert all(20 <= number <= 4 * 20 + 10 for number in read.values()), read


async def test_reading_everything_shows(ingress_database: Database) -> None:
    async with ingress_database.transaction() as transaction:
        await transaction.execute(FILL[0], 1000)
        before = await rows_read(transaction)
        await transaction.fetch("SELECT max(term) FROM viewed_enrollment")

        assert await rows_read(transaction) == before + 1000


async def test_a_step_writes_to_no_index(ingress_database: Database) -> None:
    ids = [EnrollmentId(uuid4()) for _ in range(5)]
    for event in HAPPY[:4]:
        same = [event.model_copy(update={"enrollment_id": one}) for one in ids]
        await project(ingress_database, [arrival_of(one, at(0)) for one in same])
    await flush(ingress_database)

    async def updates() -> list[tuple[object, ...]]:
        return await rows_of(
            ingress_database,
            """
            SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables
            WHERE relname = 'viewed_enrollment'
            """,
        )

    async def are_counted() -> bool:
        return (await updates())[0][0] == 3 * len(ids)

    await eventually(are_counted, 10)
    assert await updates() == [(3 * len(ids), 3 * len(ids))]
