"""The client against a real HTTP server that answers as each test wants."""

import asyncio
from collections.abc import Sequence
from time import perf_counter

import pytest
from aiohttp import web

from loadtests.day.by_http import client as client_module
from loadtests.day.by_http.answers import AnswerLog
from loadtests.day.by_http.client import Client
from loadtests.day.by_http.tests.edge import Seen, accepted, asks_of, edge, enrollment_of
from loadtests.plain_http.client import Address, PlainClient


async def take(request: web.Request, _: Seen) -> web.Response:
    return accepted(request)


async def send(
    addresses: Sequence[Address], count: int, *, rate: float | None = None, connections: int = 4
) -> tuple[AnswerLog, Client, dict[int, str]]:
    log, heard = AnswerLog(count), dict[int, str]()
    http = PlainClient(connections)
    client = Client(http, addresses, asks_of(count), log, heard.__setitem__)
    await client.send_all(rate=rate, connections=connections)
    await http.close()
    return log, client, heard


async def test_everything_is_asked_once_where_all_is_accepted() -> None:
    async with edge(take) as (address, seen):
        log, client, heard = await send([address], 200)

    assert sorted(seen.keys, key=int) == [str(number) for number in range(200)]
    assert log.counts == {"202": 200}
    assert heard == log.accepted == {n: enrollment_of(str(n)) for n in range(200)}
    assert client.sent == 200


async def test_who_is_told_to_wait_comes_again_in_time_with_the_same_key() -> None:
    came_at: list[float] = []

    async def refuse_first(request: web.Request, _: Seen) -> web.Response:
        came_at.append(perf_counter())
        if len(came_at) == 1:
            return web.Response(status=503, headers={"Retry-After": "1"})
        return accepted(request)

    async with edge(refuse_first) as (address, seen):
        log, _, _ = await send([address], 1)

    assert seen.keys == ["0", "0"]
    assert 1 <= came_at[1] - came_at[0] < 2
    assert (log.counts, log.not_accepted) == ({"503": 1, "202": 1}, 0)


async def test_a_wait_keeps_no_connection_from_others() -> None:
    async def refuse_the_first(request: web.Request, seen: Seen) -> web.Response:
        if seen.keys.count("0") == 1 and request.headers["Idempotency-Key"] == "0":
            return web.Response(status=429, headers={"Retry-After": "1"})
        return accepted(request)

    async with edge(refuse_the_first) as (address, seen):
        await send([address], 20, rate=100, connections=1)

    assert seen.keys == [*(str(number) for number in range(20)), "0"]


async def test_a_lost_connection_is_an_error_and_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "RETRY_SECONDS_UNSAID", 0.01)

    async def hang_up_first(request: web.Request, seen: Seen) -> web.Response:
        if len(seen.keys) == 1:
            assert request.transport is not None
            request.transport.close()
        return accepted(request)

    async with edge(hang_up_first) as (address, seen):
        log, _, _ = await send([address], 1)

    assert seen.keys == ["0", "0"]
    assert log.counts == {"ConnectionResetError": 1, "202": 1}


async def test_an_ingress_that_is_not_there_ends_in_requests_that_were_not_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "RETRY_SECONDS_UNSAID", 0.01)
    monkeypatch.setattr(client_module, "ATTEMPTS_MAX", 3)

    log, _, _ = await send([("127.0.0.1", 1)], 2)

    assert log.counts == {"ConnectionRefusedError": 6}
    assert log.not_accepted == 2


async def test_what_waiting_does_not_mend_is_asked_once() -> None:
    async def forbid(_request: web.Request, _seen: Seen) -> web.Response:
        return web.Response(status=403)

    async with edge(forbid) as (address, seen):
        log, _, _ = await send([address], 3)

    assert len(seen.keys) == 3
    assert (log.counts, log.refused) == ({"403": 3}, {0: "403", 1: "403", 2: "403"})


async def test_connections_are_few_and_used_again() -> None:
    async def take_slowly(request: web.Request, _: Seen) -> web.Response:
        await asyncio.sleep(0.005)
        return accepted(request)

    async with edge(take_slowly) as (address, seen):
        await send([address], 100, connections=3)

    assert len(seen.connections) == seen.most_at_once == 3


async def test_at_a_rate_the_time_of_each_begins_when_it_was_due() -> None:
    async def take_slowly(request: web.Request, _: Seen) -> web.Response:
        await asyncio.sleep(0.05)
        return accepted(request)

    async with edge(take_slowly) as (address, _):
        log, client, _ = await send([address], 20, rate=100, connections=1)

    gaps = [b - a for a, b in zip(client.started_at, client.started_at[1:], strict=False)]
    assert gaps == pytest.approx([0.01] * 19)
    assert max(log.milliseconds) > 20 * 50 - 19 * 10 - 1  # the last waited for all before it


async def test_several_ingresses_share_the_requests_and_a_repeat_goes_to_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "RETRY_SECONDS_UNSAID", 0.01)

    async def refuse(_request: web.Request, _seen: Seen) -> web.Response:
        return web.Response(status=503)

    async with edge(take) as (good_at, good), edge(refuse) as (bad_at, bad):
        log, _, _ = await send([good_at, bad_at], 4)

    assert sorted(good.keys) == ["0", "1", "2", "3"]
    assert sorted(bad.keys) == ["1", "3"]
    assert log.not_accepted == 0
