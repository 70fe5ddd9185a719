"""The paths that show and drop remembered answers, on a real Redis."""

from collections.abc import AsyncIterator

import pytest

from services.enrollment.ingress.answers import Answer, Progress
from services.enrollment.ingress.tests.watched_system import System, watched
from shared import audit_trail
from shared.database import Database
from shared.tests.machinery import Servers, proxied

PATH = "/queue/idempotency"
NOWHERE = "redis://127.0.0.1:1/0"
ANSWER = Answer(202, b"{}", "/enrollments/1")


@pytest.fixture
async def system(
    servers: Servers, ingress_database: Database, redis_url: str, cache_prefix: str
) -> AsyncIterator[System]:
    async with watched(servers, ingress_database, redis_url, cache_prefix) as made:
        yield made


async def remember(system: System, user: str, *keys: str, operation: str = "create") -> list[str]:
    """Remember answers to a user, and give their keys in Redis."""
    names = [system.answers.key_of(operation, user, key, 0) for key in keys]
    for name in names:
        assert await system.answers.finish(name, "body", ANSWER, operation)
    return names


async def is_known(system: System, name: str) -> bool:
    begun = await system.answers.begin(name, "body", "create")
    return begun.progress is Progress.DONE


async def actions_of(database: Database) -> list[tuple[str, str, str]]:
    async with database.transaction() as transaction:
        records = await audit_trail.read(transaction)
    assert audit_trail.first_break(records) is None
    return [(one.operator, one.action, one.subject) for one in records]


async def test_the_statistics_count_answers_and_show_some_of_their_keys(system: System) -> None:
    names = await remember(system, "S1", *map(str, range(12)))

    shown = await system.get(PATH)

    assert (shown["total_cached_operations"], shown["is_estimate"]) == (12, False)
    assert len(shown["sample_keys"]) == 10
    assert set(shown["sample_keys"]) <= set(names)


async def test_one_answer_is_dropped_by_its_key_and_no_other(system: System) -> None:
    first, second = await remember(system, "S1", "a", "b")

    answer = await system.ask("DELETE", f"{PATH}/{first}")
    again = await system.ask("DELETE", f"{PATH}/{first}")

    assert (answer.status_code, answer.json()) == (200, {"deleted": 1})
    assert again.json() == {"deleted": 0}
    assert not await is_known(system, first)
    assert await is_known(system, second)
    expected = ("ann@uni", "idempotency.delete", first)
    assert await actions_of(system.database) == [expected, expected]


async def test_a_key_with_escapes_is_understood_as_shown_and_escaped_once_more(
    system: System,
) -> None:
    first, second = await remember(system, "ann@uni", "a", "b")
    assert "%40" in first

    as_shown = await system.ask("DELETE", f"{PATH}/{first}")
    escaped = await system.ask("DELETE", f"{PATH}/{second.replace('%', '%25')}")

    assert (as_shown.json(), escaped.json()) == ({"deleted": 1}, {"deleted": 1})


async def test_the_answers_to_one_user_are_dropped_and_no_others(system: System) -> None:
    await remember(system, "S1", "a", "b")
    await remember(system, "S1", "c", operation="cancel")
    [other] = await remember(system, "S11", "a")

    answer = await system.ask("DELETE", PATH, params={"user": "S1"})

    assert answer.json() == {"deleted": 3}
    assert await is_known(system, other)
    assert await actions_of(system.database) == [("ann@uni", "idempotency.delete", "user S1")]


async def test_all_answers_are_dropped_and_nothing_else(
    system: System, servers: Servers, redis_url: str
) -> None:
    await remember(system, "S1", "a", "b")
    await remember(system, "S2", "a")
    foreign = f"foreign-{system.topic}"
    await system.cache.set_if_absent(foreign, b"stays", 60)

    answer = await system.ask("DELETE", PATH, params={"all": "true"})

    assert answer.json() == {"deleted": 3}
    assert (await system.get(PATH))["total_cached_operations"] == 0
    assert await system.cache.set_if_absent(foreign, b"x", 60) == b"stays"
    assert await actions_of(system.database) == [("ann@uni", "idempotency.delete", "all")]
    await system.cache.delete([foreign])


@pytest.mark.parametrize(
    "path",
    [
        PATH,
        f"{PATH}?all=false",
        f"{PATH}?all=true&user=S1",
        f"{PATH}?all=maybe",
        f"{PATH}?user=",
        f"{PATH}?user=a%00b",
        f"{PATH}?user={'x' * 129}",
        f"{PATH}/a%00b",
        f"{PATH}/{'x' * 1001}",
        f"{PATH}/",
    ],
)
async def test_a_deletion_that_says_not_what_is_refused_and_drops_nothing(
    system: System, path: str
) -> None:
    [name] = await remember(system, "S1", "a")

    answer = await system.ask("DELETE", path)

    assert answer.status_code == 422
    assert await is_known(system, name)
    assert await actions_of(system.database) == []


async def test_a_key_that_is_no_answers_is_left_alone(system: System) -> None:
    foreign = f"foreign-{system.topic}"
    await system.cache.set_if_absent(foreign, b"stays", 60)

    answer = await system.ask("DELETE", f"{PATH}/{foreign}")

    assert (answer.status_code, answer.json()) == (200, {"deleted": 0})
    assert await system.cache.set_if_absent(foreign, b"x", 60) == b"stays"
    await system.cache.delete([foreign])


async def test_without_redis_nothing_is_shown_or_dropped_and_it_is_said(
    servers: Servers, ingress_database: Database, cache_prefix: str
) -> None:
    async with watched(servers, ingress_database, NOWHERE, cache_prefix) as system:
        answers = [
            await system.ask("GET", PATH),
            await system.ask("DELETE", PATH, params={"all": "true"}),
            await system.ask("DELETE", f"{PATH}/{system.answers.key_of('create', 'S1', 'a', 0)}"),
        ]

    assert {one.status_code for one in answers} == {503}
    assert {one.json()["type"] for one in answers} == {"/problems/cache-unavailable"}
    assert all("retry-after" in one.headers for one in answers)


async def test_what_cannot_be_recorded_is_not_done(
    servers: Servers, ingress_database: Database, redis_url: str, cache_prefix: str
) -> None:
    async with (
        proxied(ingress_database) as (proxy, url),
        watched(servers, ingress_database, redis_url, cache_prefix, database_url=url) as system,
    ):
        [name] = await remember(system, "S1", "a")
        await proxy.cut()
        answer = await system.ask("DELETE", PATH, params={"all": "true"})
        known = await is_known(system, name)

    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/database-unavailable"
    assert "nothing was done" in answer.json()["detail"]
    assert known
