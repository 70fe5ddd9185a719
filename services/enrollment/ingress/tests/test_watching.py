"""Waiting for changes, on a real database: who waits sees all, and one looks for all."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

import pytest

from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.tests.test_view_reader import breaker
from services.enrollment.ingress.tests.test_view_store import project, put
from services.enrollment.ingress.tests.view_making import FULL as SECTION_FULL
from services.enrollment.ingress.tests.view_making import (
    HAPPY,
    ID,
    STORIES,
    arrival_of,
    at,
    cancelled,
    claim_released,
    opened,
    rejected,
    requested,
    seen,
    timed,
)
from services.enrollment.ingress.tests.view_making import OVERDUE as TOO_LATE
from services.enrollment.ingress.view.model import Happening, Status, ViewedEnrollment
from services.enrollment.ingress.view.reader import View
from services.enrollment.ingress.watching import Watch
from shared.database import Database
from shared.events import EnrollmentEvent, Stage
from shared.identifiers import EnrollmentId
from shared.tests.machinery import eventually, proxied

POLL_SECONDS = 0.02
LINGER_SECONDS = 0.3
OVER = frozenset({Status.REJECTED, Status.CANCELLED})


class CountedView(View):
    """Counts what is asked of the database."""

    asked: int = 0

    async def find_changed(
        self, marks: Mapping[EnrollmentId, int]
    ) -> list[tuple[int, ViewedEnrollment]]:
        self.asked += 1
        return await super().find_changed(marks)


@pytest.fixture
def view(ingress_database: Database) -> CountedView:
    return CountedView(ingress_database, breaker())


@pytest.fixture
async def watch(view: CountedView) -> AsyncIterator[Watch]:
    async with watching(view) as one:
        yield one


@asynccontextmanager
async def watching(view: View, watchers_max: int = 1000) -> AsyncIterator[Watch]:
    one = Watch(view, watchers_max, poll_seconds=POLL_SECONDS, linger_seconds=LINGER_SECONDS)
    yield one
    await one.stop()


async def told(changes: AsyncIterator[tuple[int, Happening]]) -> list[tuple[int, str]]:
    return [(number, one.event) async for number, one in changes]


def numbered(*events: EnrollmentEvent, first: int = 1) -> list[tuple[int, str]]:
    """Name events as streams do; how a request read does not show there."""
    names = (type(event).__name__ for event in events)
    read = {"MalformedRequest": "EnrollmentRequested"}
    return [(number, read.get(name, name)) for number, name in enumerate(names, first)]


# Until it has ended.


async def test_who_waits_for_the_outcome_gets_it(ingress_database: Database, watch: Watch) -> None:
    await project(ingress_database, timed(HAPPY[:1]))
    waiting = asyncio.create_task(watch.until_ended(ID, 10))
    await asyncio.sleep(3 * POLL_SECONDS)
    assert not waiting.done()

    await project(ingress_database, timed(HAPPY))

    assert await waiting == seen(*HAPPY)


async def test_who_waits_for_what_nobody_has_heard_of_gets_it_when_it_comes(
    ingress_database: Database, watch: Watch
) -> None:
    waiting = asyncio.create_task(watch.until_ended(ID, 10))
    await asyncio.sleep(3 * POLL_SECONDS)

    await project(ingress_database, timed(STORIES["bad"]))

    ended = await waiting
    assert ended is not None
    assert ended.status is Status.REJECTED


async def test_nobody_waits_longer_than_wanted(ingress_database: Database, watch: Watch) -> None:
    await project(ingress_database, timed(HAPPY[:3]))
    began = time.monotonic()

    ended = await watch.until_ended(ID, 0.2)

    assert ended is None
    assert 0.2 <= time.monotonic() - began < 0.4
    assert watch.watchers == 0


async def test_who_waits_for_a_cancellation_is_not_content_with_the_confirmation(
    ingress_database: Database, watch: Watch
) -> None:
    await project(ingress_database, timed(HAPPY))
    assert await watch.until_ended(ID, 0.2, statuses=OVER) is None
    waiting = asyncio.create_task(watch.until_ended(ID, 10, statuses=OVER))

    await project(ingress_database, [arrival_of(cancelled("confirmed"), at(9))])

    ended = await waiting
    assert ended is not None
    assert ended.status is Status.CANCELLED


# Changes.


@pytest.mark.parametrize("story", [name for name in STORIES if name not in {"asked", "opened"}])
async def test_who_watches_sees_everything_to_the_end(
    ingress_database: Database, watch: Watch, story: str
) -> None:
    watching = asyncio.create_task(told(watch.changes(ID, 0)))

    for arrival in timed(STORIES[story]):
        await project(ingress_database, [arrival])
        await asyncio.sleep(1.5 * POLL_SECONDS)

    expected = numbered(*STORIES[story])
    if story == "cancelled while confirmed":  # it had ended before
        assert (await watching)[:5] == expected[:5]
        assert (await told(watch.changes(ID, 0))) == expected
    else:
        assert await watching == expected


async def test_who_comes_back_goes_on_where_she_was(
    ingress_database: Database, watch: Watch
) -> None:
    await project(ingress_database, timed(HAPPY))

    rest = await told(watch.changes(ID, 3))

    assert rest == numbered(*HAPPY[3:], first=4)
    assert await told(watch.changes(ID, 5)) == []
    assert await told(watch.changes(ID, 999)) == []


async def test_a_stream_ends_a_moment_after_the_end_where_an_answer_never_comes(
    ingress_database: Database, watch: Watch
) -> None:
    story = (requested(), opened(), rejected(Stage.DEADLINE, TOO_LATE))
    await project(ingress_database, timed(story))
    began = time.monotonic()

    events = await told(watch.changes(ID, 0))

    assert events == numbered(*story)
    assert time.monotonic() - began >= LINGER_SECONDS


async def test_a_stream_goes_on_as_long_as_something_is_to_be_given_back(
    ingress_database: Database, watch: Watch
) -> None:
    full = STORIES["full"]
    await project(ingress_database, timed(full[:5]))
    watching = asyncio.create_task(told(watch.changes(ID, 4)))
    await asyncio.sleep(2 * LINGER_SECONDS)
    assert not watching.done()

    await project(ingress_database, [arrival_of(claim_released(), at(9))])

    assert await watching == numbered(*full[4:], first=5)


async def test_a_stream_gives_the_reasons_but_none_that_are_not_for_students(
    ingress_database: Database, watch: Watch
) -> None:
    reasons = {}

    for story in ("full", "answered late"):
        one = EnrollmentId(uuid4())
        events = [event.model_copy(update={"enrollment_id": one}) for event in STORIES[story]]
        await project(ingress_database, timed(events))
        happenings = [happening async for _, happening in watch.changes(one, 0)]
        reasons[story] = {each.event: each.reasons for each in happenings if each.reasons}

    assert reasons == {
        "full": {"SeatUnavailable": SECTION_FULL, "EnrollmentRejected": SECTION_FULL},
        "answered late": {"EnrollmentRejected": TOO_LATE},
    }


async def test_of_what_was_pruned_there_is_nothing_to_tell(
    ingress_database: Database, watch: Watch
) -> None:
    await put(ingress_database, replace(seen(*HAPPY), happenings=None))

    assert await told(watch.changes(ID, 0)) == []


# One for all.


async def test_one_question_is_asked_for_all_who_wait_and_none_where_nobody_does(
    ingress_database: Database, view: CountedView, watch: Watch
) -> None:
    others = [EnrollmentId(uuid4()) for _ in range(300)]
    waiting = [asyncio.create_task(watch.until_ended(one, 10)) for one in [ID] * 300 + others]
    await asyncio.sleep(0)
    began, before = time.monotonic(), view.asked
    await asyncio.sleep(20 * POLL_SECONDS)
    asked, ticks = view.asked - before, (time.monotonic() - began) / POLL_SECONDS

    await project(ingress_database, timed(HAPPY))
    await asyncio.wait(waiting[:300])
    for task in waiting[300:]:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await asyncio.sleep(2 * POLL_SECONDS)
    after = view.asked
    await asyncio.sleep(5 * POLL_SECONDS)

    assert 5 <= asked <= ticks + 2
    assert [task.result() for task in waiting[:300]] == [seen(*HAPPY)] * 300
    assert view.asked == after
    assert watch.watchers == 0


async def test_too_many_cannot_watch(view: CountedView) -> None:
    async with watching(view, watchers_max=2) as watch:
        waiting = [asyncio.create_task(watch.until_ended(ID, 10)) for _ in range(2)]
        await asyncio.sleep(0)

        assert await watch.until_ended(ID, 10) is None
        with pytest.raises(Problem) as raised:
            watch.changes(ID, 0)
        assert raised.value.kind is ProblemType.OVERLOADED

        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert await watch.until_ended(ID, 0.05) is None
        assert watch.watchers == 0


async def test_a_stream_that_is_closed_is_watched_no_more(
    ingress_database: Database, watch: Watch
) -> None:
    await project(ingress_database, timed(HAPPY[:1]))
    changes = watch.changes(ID, 0)
    await anext(changes)
    coming = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(2 * POLL_SECONDS)
    assert watch.watchers == 1

    coming.cancel()

    await eventually(lambda: watch.watchers == 0, 2)


async def test_who_waits_outlasts_an_outage_of_the_database(ingress_database: Database) -> None:
    async with proxied(ingress_database) as (proxy, url):
        database = Database(url, application_name="test")
        async with watching(View(database, breaker())) as watch:
            waiting = asyncio.create_task(watch.until_ended(ID, 20))
            await asyncio.sleep(3 * POLL_SECONDS)
            await proxy.cut()
            await project(ingress_database, timed(HAPPY))
            await asyncio.sleep(10 * POLL_SECONDS)
            assert not waiting.done()

            await proxy.open()

            assert await waiting == seen(*HAPPY)
        await database.close()
