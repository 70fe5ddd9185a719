"""What a process's admin server says of its breakers, and what a reset there does."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from shared.admin import AdminServer
from shared.breaker import Breaker, BreakerPolicy
from shared.tests.machinery import PlannedError
from shared.tests.test_process import free_port

POLICY = BreakerPolicy(failure_threshold=2, recovery_seconds=60, success_threshold=1)
FRESH = {"state": "closed", "failure_count": 0, "success_count": 0, "consecutive_failures": 0}


class Admin:
    """An admin server that listens, and the breakers that it shows."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"
        names = ("database", "kafka")
        self.breakers = {name: Breaker(name, POLICY, timeout_seconds=1) for name in names}
        self.server = AdminServer(
            "127.0.0.1",
            port,
            checks=lambda: {"fine": True},
            details=dict,
            metrics=lambda: b"",
            breakers=self.breakers,
        )

    async def ask(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self._url + path) as answer,
        ):
            return answer.status, await answer.json()

    async def call(self, name: str, *, fails: bool) -> None:
        await asyncio.gather(
            self.breakers[name].call_async(fail if fails else succeed), return_exceptions=True
        )


async def fail() -> None:
    raise PlannedError


async def succeed() -> None:
    return None


@pytest.fixture
async def admin() -> AsyncIterator[Admin]:
    made = Admin(free_port())
    await made.server.on_start()
    yield made
    await made.server.on_stop()


async def test_the_breakers_are_shown_with_their_state_and_their_counts(admin: Admin) -> None:
    await admin.call("kafka", fails=False)
    await admin.call("database", fails=True)
    await admin.call("database", fails=True)

    status, shown = await admin.ask("GET", "/breakers")

    assert status == 200
    assert shown == {
        "database": {
            "state": "open",
            "failure_count": 2,
            "success_count": 0,
            "consecutive_failures": 2,
        },
        "kafka": FRESH | {"success_count": 1},
    }


async def test_a_reset_closes_the_breaker_and_answers_its_new_state(admin: Admin) -> None:
    await admin.call("database", fails=True)
    await admin.call("database", fails=True)
    await admin.call("kafka", fails=True)

    status, reset = await admin.ask("POST", "/breakers/database/reset")

    assert (status, reset) == (200, {"database": FRESH})
    _, shown = await admin.ask("GET", "/breakers")
    assert shown["database"] == FRESH
    assert shown["kafka"]["failure_count"] == 1


async def test_a_breaker_that_was_added_later_is_shown_and_is_reset_with_its_dependency(
    admin: Admin,
) -> None:
    admin.breakers["http.database"] = Breaker("http.database", POLICY, timeout_seconds=1)
    for name in ("database", "http.database", "kafka"):
        await admin.call(name, fails=True)

    _, shown = await admin.ask("GET", "/breakers")
    _, reset = await admin.ask("POST", "/breakers/database/reset")

    assert {name: one["failure_count"] for name, one in shown.items()} == {
        "database": 1,
        "kafka": 1,
        "http.database": 1,
    }
    assert reset == {"database": FRESH, "http.database": FRESH}
    assert admin.breakers["kafka"].snapshot().failure_count == 1


async def test_one_breaker_of_several_for_a_dependency_can_be_reset_alone(admin: Admin) -> None:
    admin.breakers["http.database"] = Breaker("http.database", POLICY, timeout_seconds=1)
    for name in ("database", "http.database"):
        await admin.call(name, fails=True)

    _, reset = await admin.ask("POST", "/breakers/http.database/reset")

    assert reset == {"http.database": FRESH}
    assert admin.breakers["database"].snapshot().failure_count == 1


@pytest.mark.parametrize("name", ["redis", "http", "data", "%20", "DATABASE"])
async def test_an_unknown_breaker_is_not_found_and_nothing_is_reset(
    admin: Admin, name: str
) -> None:
    await admin.call("database", fails=True)

    status, said = await admin.ask("POST", f"/breakers/{name}/reset")

    assert status == 404
    assert said["known"] == ["database", "kafka"]
    assert admin.breakers["database"].snapshot().failure_count == 1
