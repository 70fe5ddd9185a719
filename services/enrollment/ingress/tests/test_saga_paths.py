"""The paths that show sagas: step by step, newest first, filtered, page by page."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.enrollment.ingress.tests.test_view_store import project, put
from services.enrollment.ingress.tests.view_making import (
    FULL,
    ID,
    S2,
    STORIES,
    at,
    seen,
    timed,
)
from services.enrollment.ingress.tests.watched_system import System, watched
from services.enrollment.ingress.view.model import ViewedEnrollment
from shared.database import Database
from shared.identifiers import EnrollmentId, StudentId
from shared.tests.machinery import Servers, proxied

SAGAS = "/queue/sagas"
STEPS = ["validate_student", "reserve_sections", "confirm", "release_sections", "release_student"]


@pytest.fixture
async def system(
    servers: Servers, ingress_database: Database, redis_url: str, cache_prefix: str
) -> AsyncIterator[System]:
    async with watched(servers, ingress_database, redis_url, cache_prefix) as made:
        yield made


def saga(
    number: int, story: str, when: datetime | None = None, student: StudentId | None = None
) -> ViewedEnrollment:
    """A saga of its own id, requested at its own second unless told."""
    one = replace(seen(*STORIES[story]), enrollment_id=EnrollmentId(UUID(int=number)))
    return replace(one, requested_at=when or at(number), student_id=student or one.student_id)


def ids_of(found: list[dict[str, Any]]) -> list[int]:
    return [UUID(one["saga_id"]).int for one in found]


async def ids(system: System, query: str = "") -> list[int]:
    return ids_of(await system.get(SAGAS + query))


def statuses_of(steps: list[dict[str, Any]]) -> dict[str, str]:
    return {one["name"]: one["status"] for one in steps}


# One saga.


async def test_a_saga_is_shown_step_by_step_as_its_events_come(system: System) -> None:
    events = timed(STORIES["confirmed"])
    shown = []
    for event in events:
        await project(system.database, [event])
        shown.append(await system.get(f"{SAGAS}/{ID}"))

    assert [one["status"] for one in shown] == [*["executing"] * 4, "completed"]
    assert [statuses_of(one["steps"])["validate_student"] for one in shown] == [
        "waiting",
        "running",
        "completed",
        "completed",
        "completed",
    ]
    last = shown[-1]
    assert (last["saga_id"], last["name"], last["student_id"]) == (str(ID), "enrollment", "S1")
    assert [one["name"] for one in last["steps"]] == STEPS
    assert statuses_of(last["steps"]) == {
        "validate_student": "completed",
        "reserve_sections": "completed",
        "confirm": "completed",
        "release_sections": "skipped",
        "release_student": "skipped",
    }
    reserve = last["steps"][1]
    assert (reserve["attempts"], reserve["reason"]) == (1, None)
    assert datetime.fromisoformat(reserve["started_at"]) == at(2)
    assert datetime.fromisoformat(reserve["ended_at"]) == at(3)
    assert datetime.fromisoformat(last["ended_at"]) == at(4)
    assert shown[0]["ended_at"] is None


async def test_a_failed_step_tells_why_and_compensations_run_until_all_is_given_back(
    system: System,
) -> None:
    *before, last = timed(STORIES["full"])
    await project(system.database, before)
    compensating = await system.get(f"{SAGAS}/{ID}")
    await project(system.database, [last])
    compensated = await system.get(f"{SAGAS}/{ID}")

    assert compensating["status"] == "compensating"
    assert statuses_of(compensating["steps"])["release_student"] == "running"
    assert compensating["ended_at"] is None
    failed = compensating["steps"][1]
    assert (failed["name"], failed["status"]) == ("reserve_sections", "failed")
    assert failed["reason"] == FULL[0].code
    assert compensated["status"] == "compensated"
    assert statuses_of(compensated["steps"])["release_student"] == "completed"
    assert datetime.fromisoformat(compensated["ended_at"]) == at(5)


async def test_the_steps_of_a_saga_may_be_pruned_and_the_rest_stays(system: System) -> None:
    await put(system.database, replace(saga(1, "confirmed"), happenings=None))

    shown = await system.get(f"{SAGAS}/{UUID(int=1)}")

    assert (shown["status"], shown["steps"]) == ("completed", [])


async def test_a_task_is_the_same_resource(system: System) -> None:
    await put(system.database, saga(7, "confirmed"))

    assert await system.get(f"/queue/tasks/{UUID(int=7)}") == await system.get(
        f"{SAGAS}/{UUID(int=7)}"
    )


async def test_an_unknown_saga_is_not_found_and_an_odd_id_is_refused(system: System) -> None:
    unknown = [await system.ask("GET", f"{path}/{uuid4()}") for path in (SAGAS, "/queue/tasks")]
    odd = await system.ask("GET", f"{SAGAS}/none")

    assert [one.status_code for one in unknown] == [404, 404]
    assert odd.status_code == 422


# Many.


async def test_no_saga_is_an_empty_array(system: System) -> None:
    answer = await system.ask("GET", SAGAS)

    assert (answer.status_code, answer.json()) == (200, [])
    assert "link" not in answer.headers
    assert float(answer.headers["view-age"]) >= 0


async def test_sagas_are_listed_newest_first_and_page_by_page(system: System) -> None:
    await put(system.database, *(saga(number, "confirmed") for number in range(1, 8)))

    pages, path = [], f"{SAGAS}?limit=3"
    while path:
        answer = await system.ask("GET", path)
        pages.append(ids_of(answer.json()))
        link = answer.headers.get("link", "")
        path = link.partition(">")[0].removeprefix("<")
        assert link == "" or link.endswith('; rel="next"')

    assert pages == [[7, 6, 5], [4, 3, 2], [1]]


async def test_a_page_keeps_its_filters_in_the_link(system: System) -> None:
    stories = {1: "confirmed", 2: "full", 3: "confirmed", 4: "full"}
    await put(system.database, *(saga(number, story) for number, story in stories.items()))

    first = await system.ask("GET", f"{SAGAS}?limit=1&status=completed")
    second = await system.ask("GET", first.headers["link"].partition(">")[0].removeprefix("<"))

    assert (ids_of(first.json()), ids_of(second.json())) == ([3], [1])


async def test_sagas_are_filtered_by_their_status(system: System) -> None:
    compensating = seen(*STORIES["full"][:-1])
    await put(
        system.database,
        saga(1, "opened"),
        saga(2, "confirmed"),
        replace(compensating, enrollment_id=EnrollmentId(UUID(int=3)), requested_at=at(3)),
        saga(4, "full"),
    )

    found = [
        await ids(system, f"?status={status}")
        for status in ("executing", "completed", "compensating", "compensated")
    ]

    assert found == [[1], [2], [3], [4]]


async def test_sagas_are_filtered_by_student_and_by_age_and_by_all_of_it(system: System) -> None:
    system.now = at(100)
    await put(
        system.database,
        saga(1, "confirmed", at(10)),
        saga(2, "confirmed", at(50), S2),
        saga(3, "opened", at(90), S2),
    )

    assert await ids(system, "?student=S2") == [3, 2]
    assert await ids(system, "?older_than_seconds=30") == [2, 1]
    assert await ids(system, "?student=S2&older_than_seconds=30") == [2]
    assert await ids(system, "?student=S2&status=executing") == [3]
    assert await ids(system, "?student=nobody") == []


async def test_a_saga_that_runs_for_too_long_is_stuck_and_one_that_has_ended_is_not(
    system: System,
) -> None:
    await put(
        system.database,
        saga(1, "confirmed"),
        saga(2, "opened"),
        saga(3, "opened", at(1000)),
    )
    found = []
    for seconds in (30, 61, 63, 1059, 1061):
        system.now = at(seconds)
        found.append(await ids(system, "?stuck=true"))

    assert found == [[], [], [2], [2], [3, 2]]
    system.now = at(100)
    assert await ids(system, "?stuck=true&older_than_seconds=99") == []


@pytest.mark.parametrize(
    "query",
    [
        "status=pending",
        "student=a/b",
        "older_than_seconds=-1",
        "older_than_seconds=1e300",
        "older_than_seconds=nan",
        "stuck=perhaps",
        "cursor=odd",
        "cursor=99999999999999999999-00000000000000000000000000000001",
        "limit=0",
        "limit=201",
        "limit=x",
        "unknown=1",
    ],
)
async def test_a_bad_question_is_refused(system: System, query: str) -> None:
    answer = await system.ask("GET", f"{SAGAS}?{query}")

    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/validation-failed"


async def test_without_the_database_sagas_are_refused_soon(
    servers: Servers, ingress_database: Database, redis_url: str, cache_prefix: str
) -> None:
    async with (
        proxied(ingress_database) as (proxy, url),
        watched(servers, ingress_database, redis_url, cache_prefix, database_url=url) as system,
    ):
        await proxy.cut()
        paths = [SAGAS, f"{SAGAS}/{uuid4()}", f"/queue/tasks/{uuid4()}"] * 3
        answers = [await system.ask("GET", path) for path in paths]

    assert {one.status_code for one in answers} == {503}
    assert {one.json()["type"] for one in answers} == {"/problems/database-unavailable"}
    assert all(1 <= int(one.headers["retry-after"]) <= 30 for one in answers)
    assert max(one.elapsed for one in answers[3:]) < timedelta(seconds=0.05)
