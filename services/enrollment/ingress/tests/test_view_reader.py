"""What routes ask of the view, on a real database: answers, pages, and what happens without it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.tests.test_view_store import project, put
from services.enrollment.ingress.tests.view_making import (
    HAPPY,
    ID,
    S1,
    S2,
    STORIES,
    TERM,
    A,
    B,
    arrival_of,
    at,
    published,
    requested,
    seat_reserved,
    seen,
    timed,
)
from services.enrollment.ingress.view.model import SagaStatus, Totals, ViewedEnrollment
from services.enrollment.ingress.view.queries import SagaFilter
from services.enrollment.ingress.view.reader import View, cursor_of, place_of
from shared.breaker import Breaker, BreakerPolicy, BreakerState
from shared.database import Database
from shared.events import EnrollmentEvent
from shared.identifiers import EnrollmentId, PartitionKey, SectionId, Term
from shared.retry import is_database_outage
from shared.tests.machinery import eventually, proxied, rows_of, url_of

TIMEOUT_SECONDS = 0.5
AT_ONCE_SECONDS = 0.05
POLICY = BreakerPolicy(failure_threshold=3, recovery_seconds=0.6, success_threshold=2)


def breaker() -> Breaker:
    return Breaker(
        "database", POLICY, timeout_seconds=TIMEOUT_SECONDS, is_failure=is_database_outage
    )


@pytest.fixture
def view(ingress_database: Database) -> View:
    return View(ingress_database, breaker())


def enrolled(
    number: int, *events: EnrollmentEvent, when: datetime | None = None
) -> ViewedEnrollment:
    """An enrollment of its own id, requested at its own second unless told."""
    one = replace(seen(*events), enrollment_id=EnrollmentId(UUID(int=number)))
    return replace(one, requested_at=when or at(number))


async def all_pages(ask: Callable[[str | None], Awaitable[Any]]) -> list[list[int]]:
    pages, cursor = [], None
    while True:
        page, cursor = await ask(cursor)
        pages.append([one.enrollment_id.int for one in page])
        if cursor is None:
            return pages


# Answers.


async def test_enrollments_are_found_by_id_as_far_as_they_are_known(
    ingress_database: Database, view: View
) -> None:
    await project(ingress_database, timed(HAPPY))

    found = await view.find([ID, EnrollmentId(uuid4())])

    assert found == {ID: seen(*HAPPY)}
    assert await view.find([]) == {}


async def test_a_students_enrollments_come_newest_first_page_by_page_and_no_others(
    ingress_database: Database, view: View
) -> None:
    own = [enrolled(number, requested()) for number in range(1, 6)]
    twins = [enrolled(number, requested(), when=at(3)) for number in (30, 31)]
    await put(ingress_database, *own, *twins, enrolled(99, requested(S2)))

    pages = await all_pages(lambda cursor: view.of_student(S1, cursor, 2))

    assert pages == [[5, 4], [31, 30], [3, 2], [1]]
    assert await all_pages(lambda cursor: view.of_student(S2, cursor, 2)) == [[99]]


async def test_a_page_that_ends_with_the_list_has_no_next(
    ingress_database: Database, view: View
) -> None:
    await put(ingress_database, *(enrolled(number, requested()) for number in range(1, 5)))

    assert await all_pages(lambda cursor: view.of_student(S1, cursor, 4)) == [[4, 3, 2, 1]]
    assert await all_pages(lambda cursor: view.sagas(SagaFilter(), cursor, 3)) == [[4, 3, 2], [1]]


SAGAS = {
    1: STORIES["opened"],
    2: STORIES["confirmed"],
    3: STORIES["full"][:5],  # compensating
    4: STORIES["full"],
    5: STORIES["cancelled while confirmed"][:6],  # compensating
    6: STORIES["cancelled while pending"],
    7: STORIES["nobody answers"],
    8: (requested(S2),),
}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (SagaFilter(), [8, 7, 6, 5, 4, 3, 2, 1]),
        (SagaFilter(SagaStatus.EXECUTING), [8, 1]),
        (SagaFilter(SagaStatus.COMPLETED), [2]),
        (SagaFilter(SagaStatus.COMPENSATING), [5, 3]),
        (SagaFilter(SagaStatus.COMPENSATED), [7, 6, 4]),
        (SagaFilter(is_running=True), [8, 5, 3, 1]),
        (SagaFilter(SagaStatus.COMPENSATING, is_running=True), [5, 3]),
        (SagaFilter(SagaStatus.COMPLETED, is_running=True), []),
        (SagaFilter(requested_before=at(5)), [4, 3, 2, 1]),
        (SagaFilter(requested_before=at(5), is_running=True), [3, 1]),
        (SagaFilter(student_id=S2), [8]),
        (SagaFilter(student_id=S1), [7, 6, 5, 4, 3, 2, 1]),
        (SagaFilter(SagaStatus.EXECUTING, student_id=S1), [1]),
        (SagaFilter(SagaStatus.COMPENSATED, S1, requested_before=at(6)), [4]),
        (SagaFilter(student_id=S1, is_running=True), [5, 3, 1]),
        (SagaFilter(SagaStatus.COMPLETED, S1, is_running=True), []),
    ],
)
async def test_sagas_are_filtered(
    ingress_database: Database, view: View, wanted: SagaFilter, expected: list[int]
) -> None:
    await put(ingress_database, *(enrolled(number, *SAGAS[number]) for number in SAGAS))

    for limit in (2, 100):
        pages = await all_pages(partial(view.sagas, wanted, limit=limit))
        assert [number for page in pages for number in page] == expected


async def test_sections_are_found_and_listed_once_they_are_published(
    ingress_database: Database, view: View
) -> None:
    other_term, names = Term("U"), [SectionId(f"X{number}") for number in range(5)]
    events = [published(section=name) for name in names]
    await project(
        ingress_database,
        [
            arrival_of(event, at(0))
            for event in (*events, published(term=other_term), seat_reserved())
        ],
    )
    await project(ingress_database, [arrival_of(published(section=B), at(1))])

    shown = await view.section(TERM, B)
    pages = [await view.sections(TERM, after, 4) for after in (None, names[2])]

    assert shown is not None
    assert (shown.capacity, shown.reserved, shown.free) == (9, 1, 8)
    assert await view.section(TERM, A) is None  # only its seats are known
    assert [[one.section_id for one in page] for page in pages] == [
        [B, *names[:3]],
        [*names[3:]],
    ]


async def test_totals_are_those_of_every_enrollment(ingress_database: Database, view: View) -> None:
    for number, story in enumerate(STORIES.values()):
        ids = {"enrollment_id": EnrollmentId(UUID(int=number))}
        events = [event.model_copy(update=ids) for event in story]
        await project(ingress_database, timed(events))

    totals = await view.totals()

    assert totals == Totals(active=2, completed=1, rejected=6, cancelled=3)
    assert totals.total == len(STORIES)


async def test_what_has_changed_is_found_by_marks(ingress_database: Database, view: View) -> None:
    other = EnrollmentId(uuid4())
    await project(ingress_database, timed(HAPPY[:2]))

    [(mark, first)] = await view.find_changed({ID: -1, other: -1})
    unchanged = await view.find_changed({ID: mark, other: -1})
    await project(ingress_database, timed(HAPPY))
    [(next_mark, second)] = await view.find_changed({ID: mark})

    assert first == seen(*HAPPY[:2])
    assert unchanged == []
    assert second == seen(*HAPPY)
    assert await view.find_changed({ID: next_mark}) == []


async def test_positions_are_those_of_the_database(ingress_database: Database, view: View) -> None:
    await rows_of(ingress_database, "INSERT INTO consumer_offset VALUES ('t', 3, 77)")

    assert await view.positions() == {PartitionKey("t", 3): 77}


# Cursors.


def test_a_cursor_names_its_place() -> None:
    one = enrolled(5, requested())

    assert place_of(cursor_of(one)) == (one.requested_at, one.enrollment_id)


@pytest.mark.parametrize(
    "cursor", ["", "x", "1", "1-", "-1", f"x-{ID.hex}", f"{10**30}-{ID.hex}", f"-{10**18}-0", "1-1"]
)
async def test_a_cursor_that_is_none_is_a_problem(view: View, cursor: str) -> None:
    with pytest.raises(Problem) as raised:
        await view.of_student(S1, cursor, 2)

    assert raised.value.kind is ProblemType.VALIDATION_FAILED


# Without a database.


QUESTIONS: dict[str, Callable[[View], Awaitable[object]]] = {
    "find": lambda view: view.find([ID]),
    "find_changed": lambda view: view.find_changed({ID: 0}),
    "of_student": lambda view: view.of_student(S1, None, 2),
    "sagas": lambda view: view.sagas(SagaFilter(is_running=True), None, 2),
    "section": lambda view: view.section(TERM, A),
    "sections": lambda view: view.sections(TERM, None, 2),
    "totals": lambda view: view.totals(),
    "positions": lambda view: view.positions(),
}


async def refused(question: Awaitable[object]) -> tuple[float, Problem]:
    """Ask, and tell how long the refusal took."""
    began = time.monotonic()
    with pytest.raises(Problem) as raised:
        await question
    assert raised.value.kind is ProblemType.DATABASE_UNAVAILABLE
    return time.monotonic() - began, raised.value


@asynccontextmanager
async def behind(url: str, guard: Breaker) -> AsyncIterator[View]:
    database = Database(url, application_name="test")
    try:
        yield View(database, guard)
    finally:
        await database.close()


async def test_without_a_database_every_question_is_refused_at_once_and_answered_after_it_is_back(
    ingress_database: Database,
) -> None:
    guard = breaker()
    async with proxied(ingress_database) as (proxy, url), behind(url, guard) as view:
        assert await view.find([ID]) == {}
        await proxy.cut()
        for _ in range(POLICY.failure_threshold):
            seconds, _ = await refused(view.find([ID]))
            assert seconds < TIMEOUT_SECONDS + AT_ONCE_SECONDS
        assert guard.is_open

        for ask in QUESTIONS.values():
            seconds, problem = await refused(ask(view))
            assert seconds < AT_ONCE_SECONDS
            assert problem.headers()["Retry-After"] == "1"

        await proxy.open()

        async def answers() -> bool:
            try:
                await view.find([ID])
            except Problem:
                return False
            return guard.snapshot().state is BreakerState.CLOSED

        assert await eventually(answers, 5) < 2 * POLICY.recovery_seconds + 1
        for ask in QUESTIONS.values():
            await ask(view)


async def test_a_server_that_takes_connections_and_says_nothing_is_given_up_in_time() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    guard = breaker()
    async with server, behind(f"postgresql://x:y@127.0.0.1:{port}/z", guard) as view:
        many = [refused(view.find([ID])) for _ in range(20)]
        took = [seconds for seconds, _ in await asyncio.gather(*many)]

        assert max(took) < TIMEOUT_SECONDS + 0.3
        assert guard.is_open


async def test_a_statement_that_hangs_is_given_up_in_time_and_takes_no_other_with_it(
    ingress_database: Database,
) -> None:
    guard = breaker()
    async with behind(url_of(ingress_database), guard) as view:
        await view.find([ID])
        async with ingress_database.transaction() as transaction:
            await transaction.execute("LOCK TABLE viewed_enrollment IN ACCESS EXCLUSIVE MODE")
            seconds, _ = await refused(view.find([ID]))
            assert TIMEOUT_SECONDS <= seconds < TIMEOUT_SECONDS + 0.2
            began = time.monotonic()
            await view.totals()
            assert time.monotonic() - began < TIMEOUT_SECONDS
        assert await view.find([ID]) == {}
        assert guard.snapshot().failure_count == 1


async def test_an_error_of_the_question_itself_is_none_of_the_databases(
    ingress_database: Database,
) -> None:
    guard = breaker()
    view = View(ingress_database, guard)
    await rows_of(ingress_database, "DROP TABLE viewed_total")

    for _ in range(POLICY.failure_threshold + 1):
        with pytest.raises(Exception, match="viewed_total"):
            await view.totals()

    assert not guard.is_open
