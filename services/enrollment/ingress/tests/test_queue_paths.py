"""The paths that show the whole system: each number moves, and what cannot be had is null."""

import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from services.enrollment.ingress.answers import Answer
from services.enrollment.ingress.tests.processes import Peer, listening
from services.enrollment.ingress.tests.signing import signed
from services.enrollment.ingress.tests.test_view_store import project
from services.enrollment.ingress.tests.view_making import STORIES, timed
from services.enrollment.ingress.tests.watched_system import System, watched
from shared import audit_trail
from shared.breaker import BreakerState
from shared.database import Database
from shared.events import EnrollmentEvent
from shared.tests.machinery import Servers, eventually, produce, proxied

STATS = "/queue/stats/enhanced"
BREAKERS = "/queue/circuit-breakers"
NOWHERE = "redis://127.0.0.1:1/0"


def worker(service: str) -> Peer:
    made = Peer(service, "database", "kafka")
    made.waiting = waits()
    return made


def waits(depth: int = 0, oldest: float = 0.0, parked: int = 0) -> dict[str, Any]:
    return {"outbox_depth": depth, "outbox_oldest_seconds": oldest, "dead_letters": parked}


def story(name: str, number: int) -> list[EnrollmentEvent]:
    """The events of a story, under an id of its own."""
    own = {"enrollment_id": UUID(int=number + 1)}
    return [event.model_copy(update=own) for event in STORIES[name]]


@pytest.fixture
def workers() -> tuple[Peer, ...]:
    return (worker("enrollment"), worker("student"), worker("capacity"))


@pytest.fixture
async def system(
    servers: Servers,
    ingress_database: Database,
    redis_url: str,
    cache_prefix: str,
    workers: tuple[Peer, ...],
) -> AsyncIterator[System]:
    async with (
        listening(*workers),
        watched(servers, ingress_database, redis_url, cache_prefix, workers) as made,
    ):
        yield made


async def actions_of(database: Database) -> list[tuple[str, str, str]]:
    async with database.transaction() as transaction:
        records = await audit_trail.read(transaction)
    assert audit_trail.first_break(records) is None
    return [(one.operator, one.action, one.subject) for one in records]


# The numbers.


async def test_an_idle_system_has_zeros_and_nothing_is_missing(system: System) -> None:
    async with system.looking_at_the_queue():
        stats = await system.get(STATS)

    breakers = stats.pop("circuit_breakers")
    for one in breakers.values():
        one.pop("success_count")  # of redis, the very question for these numbers may count
    closed = {"state": "closed", "failure_count": 0, "consecutive_failures": 0}
    assert breakers == {"database": closed, "redis": closed, "kafka": closed}
    assert stats == {
        "active_tasks": 0,
        "pending_tasks": 0,
        "completed_tasks": 0,
        "failed_tasks": 0,
        "workers_online": 3,
        "saga_transactions": {"active_sagas": 0, "total_sagas": 0},
        "idempotency_cache": {"total_cached_operations": 0, "sample_keys": []},
        "outbox": {"depth": 0, "age_seconds": 0.0},
        "unavailable": [],
    }


async def test_enrollments_move_the_numbers_of_tasks_and_sagas(system: System) -> None:
    found = []
    for number, name in enumerate(("opened", "confirmed", "full")):
        await project(system.database, timed(story(name, number)))
        stats = await system.get(STATS)
        tasks = [stats[f"{one}_tasks"] for one in ("active", "completed", "failed")]
        found.append((*tasks, *stats["saga_transactions"].values()))

    assert found == [(1, 0, 0, 1, 1), (1, 1, 0, 1, 2), (1, 1, 1, 1, 3)]


async def test_the_totals_are_the_same_after_a_restart(
    system: System, servers: Servers, redis_url: str, cache_prefix: str
) -> None:
    await project(system.database, timed(story("confirmed", 1)))

    async with watched(servers, system.database, redis_url, cache_prefix) as later:
        stats = await later.get(STATS)

    assert (stats["completed_tasks"], stats["saga_transactions"]["total_sagas"]) == (1, 1)


async def test_requests_that_nobody_has_read_are_pending_tasks(
    system: System, servers: Servers
) -> None:
    async with system.looking_at_the_queue():
        produce(servers.kafka_url, system.topic, ["a", "b", "c"])
        await eventually(lambda: system.queue.lag == 3)
        before = await system.get(STATS)
        system.commit(2)
        await eventually(lambda: system.queue.lag == 1)
        after = await system.get(STATS)

    assert (before["pending_tasks"], after["pending_tasks"]) == (3, 1)


async def test_workers_tell_of_their_outboxes_and_dead_letters_and_count_while_they_live(
    system: System, workers: tuple[Peer, ...]
) -> None:
    first, second, third = workers
    first.waiting = waits(4, 2.5, 1)
    second.waiting = waits(3, 0.5, 2)
    third.has_joined = False

    stats = await system.get(STATS)
    await third.admin.on_stop()
    later = await system.get(STATS)

    assert stats["outbox"] == {"depth": 7, "age_seconds": 2.5}
    assert (stats["failed_tasks"], stats["workers_online"]) == (3, 2)
    assert (later["failed_tasks"], later["workers_online"]) == (None, 2)
    assert later["outbox"] == {"depth": None, "age_seconds": None}


async def test_remembered_answers_are_counted_and_their_keys_are_shown(system: System) -> None:
    key = system.answers.key_of("create", "S1", "key", 0)
    await system.answers.finish(key, "body", Answer(202, b"{}", "/enrollments/1"), "create")

    stats = await system.get(STATS)

    assert stats["idempotency_cache"] == {"total_cached_operations": 1, "sample_keys": [key]}


async def test_an_open_breaker_of_any_process_is_shown_among_the_numbers(
    system: System, workers: tuple[Peer, ...]
) -> None:
    workers[1].breakers["kafka"].open()

    stats = await system.get(STATS)

    states = {name: one["state"] for name, one in stats["circuit_breakers"].items()}
    assert states == {"database": "closed", "redis": "closed", "kafka": "open"}


async def test_what_cannot_be_had_is_null_and_named_and_nothing_fails(
    servers: Servers, ingress_database: Database, cache_prefix: str
) -> None:
    silent = worker("capacity")  # it listens nowhere
    async with proxied(ingress_database) as (proxy, url):
        await proxy.cut()
        async with watched(
            servers, ingress_database, NOWHERE, cache_prefix, (silent,), database_url=url
        ) as system:
            began = time.monotonic()
            answers = [await system.ask("GET", STATS) for _ in range(10)]
            seconds = time.monotonic() - began

    assert {one.status_code for one in answers} == {200}
    assert seconds < 3
    stats = answers[-1].json()
    assert sorted(stats["unavailable"]) == [
        "active_tasks",
        "completed_tasks",
        "failed_tasks",
        "idempotency_cache.sample_keys",
        "idempotency_cache.total_cached_operations",
        "outbox.age_seconds",
        "outbox.depth",
        "pending_tasks",
        "saga_transactions.active_sagas",
        "saga_transactions.total_sagas",
    ]
    assert stats["workers_online"] == 0
    states = {name: one["state"] for name, one in stats["circuit_breakers"].items()}
    assert states == {"database": "open", "redis": "open", "kafka": "closed"}


async def test_the_numbers_tell_how_old_the_view_is(system: System) -> None:
    answer = await system.ask("GET", STATS)

    assert float(answer.headers["view-age"]) >= 0
    assert answer.headers["cache-control"] == "no-store"


# The breakers.


async def test_the_breakers_of_every_process_are_shown_and_the_worst_of_them(
    system: System, workers: tuple[Peer, ...]
) -> None:
    workers[2].breakers["database"].open()

    found = await system.get(BREAKERS)

    assert found["circuit_breakers"]["database"]["state"] == "open"
    assert found["circuit_breakers"]["database"].keys() == {
        "state",
        "failure_count",
        "success_count",
        "consecutive_failures",
    }
    assert (found["overall_health"], found["degraded_services"]) == ("degraded", ["database"])
    states = {
        one["name"]: one["circuit_breakers"]["database"]["state"] for one in found["instances"]
    }
    assert states == {
        "capacity/1": "open",
        "enrollment/1": "closed",
        "ingress/1": "closed",
        "student/1": "closed",
    }


async def test_a_breaker_that_calls_have_opened_is_shown_and_heals_by_a_reset(
    servers: Servers, ingress_database: Database, redis_url: str, cache_prefix: str
) -> None:
    async with (
        proxied(ingress_database) as (proxy, url),
        watched(servers, ingress_database, redis_url, cache_prefix, database_url=url) as system,
    ):
        await proxy.cut()
        for _ in range(3):
            assert (await system.ask("GET", "/queue/sagas")).status_code == 503
        opened = await system.get(BREAKERS)
        refused = await system.ask("POST", f"{BREAKERS}/database/reset")
        still = await system.get(BREAKERS)

        await proxy.open()
        reset = await system.ask("POST", f"{BREAKERS}/database/reset")
        healed = await system.get(BREAKERS)
        sagas = await system.get("/queue/sagas")

    assert opened["circuit_breakers"]["database"] == {
        "state": "open",
        "failure_count": 3,
        "success_count": 0,
        "consecutive_failures": 3,
    }
    assert refused.status_code == 503  # it could not be recorded
    assert refused.headers["retry-after"]
    assert still == opened
    assert reset.json() == {
        "name": "database",
        "is_complete": True,
        "instances": {"ingress/1": True},
    }
    assert healed["overall_health"] == "healthy"
    assert sagas == []
    expected = [("ann@uni", "circuit_breaker.reset", "database")]
    assert await actions_of(ingress_database) == expected


async def test_a_reset_reaches_every_process_and_names_those_that_do_not_answer(
    system: System, workers: tuple[Peer, ...]
) -> None:
    for one in workers:
        one.open_all()
    await workers[2].admin.on_stop()

    answer = await system.ask("POST", f"{BREAKERS}/kafka/reset")

    assert answer.status_code == 200
    assert answer.json() == {
        "name": "kafka",
        "is_complete": False,
        "instances": {
            "enrollment/1": True,
            "ingress/1": True,
            "student/1": True,
            workers[2].url: False,
        },
    }
    kafka = [one.states()["kafka"] for one in workers]
    assert kafka == [BreakerState.CLOSED, BreakerState.CLOSED, BreakerState.OPEN]
    assert {one.states()["database"] for one in workers} == {BreakerState.OPEN}
    assert await actions_of(system.database) == [("ann@uni", "circuit_breaker.reset", "kafka")]


async def test_an_unknown_breaker_is_refused_and_leaves_no_record(system: System) -> None:
    answer = await system.ask("POST", f"{BREAKERS}/oracle/reset")

    assert answer.status_code == 422
    assert "redis" in answer.json()["detail"]
    assert await actions_of(system.database) == []


# Who may.

PATHS = [
    ("GET", STATS),
    ("GET", BREAKERS),
    ("POST", f"{BREAKERS}/database/reset"),
    ("GET", "/queue/sagas"),
    ("GET", "/queue/sagas/00000000-0000-0000-0000-000000000001"),
    ("GET", "/queue/tasks/00000000-0000-0000-0000-000000000001"),
    ("GET", "/queue/idempotency"),
    ("DELETE", "/queue/idempotency/idempotency:create:S1:00"),
    ("DELETE", "/queue/idempotency?all=true"),
    ("DELETE", "/queue/idempotency?user=S1"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_students_and_strangers_are_refused_everywhere_and_leave_no_record(
    system: System, method: str, path: str
) -> None:
    student = await system.ask(method, path, token=signed())
    stranger = await system.client.request(method, path)
    expired = await system.ask(method, path, token=signed(exp=1))

    assert (student.status_code, stranger.status_code, expired.status_code) == (403, 401, 401)
    assert "www-authenticate" in stranger.headers
    assert await actions_of(system.database) == []


async def test_every_path_for_staff_is_tested_here_and_documents_its_refusals(
    system: System,
) -> None:
    document = (await system.client.get("/openapi.json")).json()

    documented = {
        (method.upper(), path, frozenset(said["responses"]))
        for path, methods in document["paths"].items()
        for method, said in methods.items()
    }
    assert document["openapi"].startswith("3.1")
    assert len(documented) == len({(method, path.partition("?")[0]) for method, path in PATHS})
    assert all({"200", "401", "403", "503"} <= statuses for _, _, statuses in documented)
