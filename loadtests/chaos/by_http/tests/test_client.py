"""The clients against a real HTTP server that answers as each test wants."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from aiohttp import web

from loadtests.auditor.history import History
from loadtests.chaos.by_http.asks import Act, Ask
from loadtests.chaos.by_http.client import HUNG_UP, HttpClient
from loadtests.chaos.by_http.log import HttpLog
from loadtests.chaos.by_http.shown import wrongly_shown
from loadtests.chaos.by_http.tests.making import (
    CANCELLED,
    CONFIRMED,
    HttpDay,
    accepted,
    ask_of,
)

WAIT_SECONDS = 10.0
SOON = {"Retry-After": "0"}
HUNG_UP_AFTER = 0.1

Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def edge(respond: Respond) -> AsyncIterator[str]:
    """Serve for a block, and give the URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", respond)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def take(name: str = "e1") -> web.Response:
    headers = {"Location": f"/enrollments/{name}"}
    return web.json_response({"enrollment_id": name}, status=202, headers=headers)


async def ask_all(urls: Sequence[str], *asks: Ask) -> HttpLog:
    client = HttpClient(urls, asks, lambda student: f"token-of-{student}")
    client.start()
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while not client.is_done:
                client.raise_if_failed()
                await asyncio.sleep(0.01)
    finally:
        log = await asyncio.to_thread(client.stop)
    assert client.unanswered == 0
    return log


async def test_who_is_told_to_wait_comes_again_with_the_same_key_at_the_next_ingress() -> None:
    seen: list[tuple[str, str, str]] = []

    async def note(where: str, request: web.Request) -> None:
        headers = request.headers
        seen.append((where, headers["Idempotency-Key"], headers["Authorization"]))

    async def refuse(request: web.Request) -> web.Response:
        await note("first", request)
        return web.json_response({"type": "/problems/overloaded"}, status=503, headers=SOON)

    async def accept(request: web.Request) -> web.Response:
        await note("second", request)
        return take()

    async with edge(refuse) as first, edge(accept) as second:
        log = await ask_all([first, second], ask_of())

    assert seen == [(where, "k", "Bearer token-of-H1") for where in ("first", "second")]
    assert [one.answer.said for one in log.tries] == ["503 overloaded", "202"]


async def test_a_cancel_and_a_look_wait_until_their_request_is_accepted() -> None:
    seen: list[tuple[str, str]] = []

    async def respond(request: web.Request) -> web.Response:
        seen.append((request.method, request.path))
        if request.method == "POST":
            await asyncio.sleep(0.05)
        return web.Response() if request.method == "GET" else take()

    asks = [ask_of(0, Act.CANCEL, key="c"), ask_of(0, Act.LOOK, key=None), ask_of()]
    async with edge(respond) as url:
        await ask_all([url], *asks)

    assert seen[0] == ("POST", "/enrollments")
    assert sorted(seen[1:]) == [("DELETE", "/enrollments/e1"), ("GET", "/enrollments/e1")]


async def test_a_client_that_hangs_up_asks_again_with_the_same_key() -> None:
    keys: list[str] = []

    async def respond(request: web.Request) -> web.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            await asyncio.sleep(5 * HUNG_UP_AFTER)
        return take()

    async with edge(respond) as url:
        log = await ask_all([url], replace(ask_of(), hangs_up_after=HUNG_UP_AFTER))

    assert keys == ["k", "k"]
    assert [one.answer.said for one in log.tries] == [HUNG_UP, "202"]
    assert [one.has_hung_up for one in log.tries] == [True, False]


async def test_a_lost_connection_is_noted_and_asked_again() -> None:
    count = 0

    async def respond(request: web.Request) -> web.Response:
        nonlocal count
        count += 1
        if count == 1:
            assert request.transport is not None
            request.transport.close()
        return take()

    async with edge(respond) as url:
        log = await ask_all([url], ask_of())

    assert [one.answer.said for one in log.tries] == ["ServerDisconnectedError", "202"]


async def test_a_defect_is_noted_and_not_asked_again() -> None:
    async def respond(_request: web.Request) -> web.Response:
        return web.Response(status=500)

    async with edge(respond) as url:
        log = await ask_all([url], ask_of())

    assert [one.answer.said for one in log.tries] == ["500 without a problem"]


async def test_who_is_stopped_before_an_answer_has_not_been_answered() -> None:
    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": "60"})

    async with edge(refuse) as url:
        client = HttpClient([url], [ask_of()], str)
        client.start()
        async with asyncio.timeout(WAIT_SECONDS):
            while not client.log.tries:
                await asyncio.sleep(0.01)
        log = await asyncio.to_thread(client.stop)

    assert log.unanswered() == [0]
    assert not client.is_done


async def test_what_is_left_out_is_not_waited_for() -> None:
    async def accept(_request: web.Request) -> web.Response:
        return take()

    async with edge(accept) as url:
        asks = [ask_of(), *(replace(ask_of(number), at_seconds=1.0) for number in (1, 2))]
        client = HttpClient([url], asks, str)
        client.send_no_more()
        client.start()
        async with asyncio.timeout(WAIT_SECONDS):
            while not client.is_done:
                client.raise_if_failed()
                await asyncio.sleep(0.01)
        log = await asyncio.to_thread(client.stop)

    assert client.unanswered == 0
    assert log.unanswered() == []
    assert log.asks == 0


def confirmed_day() -> tuple[HttpLog, History]:
    day = HttpDay()
    day.try_(ask_of(), accepted("e1"))
    day.say("e1", CONFIRMED, CANCELLED)
    return day.log, day.history


async def test_an_ingress_that_shows_the_end_of_an_enrollment_a_little_later_is_fine() -> None:
    shown = iter(["pending", "confirmed", "cancelled"])

    async def respond(_request: web.Request) -> web.Response:
        return web.json_response({"status": next(shown)})

    async with edge(respond) as url:
        assert await wrongly_shown([url], *confirmed_day(), str) == []


async def test_an_ingress_that_shows_another_end_is_found() -> None:
    async def respond(_request: web.Request) -> web.Response:
        return web.json_response({"status": "confirmed"})

    async with edge(respond) as url:
        found = await wrongly_shown([url], *confirmed_day(), str, catch_up_seconds=0.2)

    assert found == [
        "enrollment e1: it ended with EnrollmentCancelled, and the ingress shows confirmed"
    ]
