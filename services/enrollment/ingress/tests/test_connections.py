"""Slow, large and half-open clients get a problem or nothing, and never keep others waiting."""

import asyncio
import socket
import time
from contextlib import AsyncExitStack

import pytest

from services.enrollment.ingress.tests.serving import (
    Running,
    Socket,
    connected,
    exchange,
    get,
    request,
    running,
)

SLOW = b"GET /fine HTTP/1.1\r\nHost: a\r\n"
H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQBAAAA")


def problems(server: Running) -> dict[str, int]:
    return dict(server.server.connections.counts())


# Heads


async def test_a_head_that_is_not_whole_in_time_is_refused_and_the_connection_closed() -> None:
    with running(request_read_seconds=0.4) as server:
        async with connected(server.port) as slow:
            began = time.monotonic()
            await slow.send(SLOW)
            answer = await slow.answer()
            assert await slow.rest() == b""

    assert answer.status == 408
    assert answer.problem == "too-slow"
    assert answer.headers["connection"] == "close"
    assert 0.35 < time.monotonic() - began < 3


async def test_a_head_that_comes_byte_by_byte_gains_no_time_by_it() -> None:
    with running(request_read_seconds=0.5) as server:
        async with connected(server.port) as slow:
            began = time.monotonic()
            dribbling = asyncio.ensure_future(dribble(slow.writer, SLOW + b"X: " + b"y" * 1000))
            answer = await slow.answer()
            assert time.monotonic() - began < 2
            dribbling.cancel()

    assert answer.problem == "too-slow"


async def dribble(writer: asyncio.StreamWriter, data: bytes) -> None:
    for byte in data:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.02)


async def test_empty_lines_do_not_keep_a_connection_open() -> None:
    with running(request_read_seconds=0.4, keep_alive_seconds=0.4) as server:
        async with connected(server.port) as slow:
            began = time.monotonic()
            dribbling = asyncio.ensure_future(dribble(slow.writer, b"\r\n" * 500))
            assert await slow.rest() == b""
            dribbling.cancel()

    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "head",
    [
        SLOW + b"X: " + b"y" * 2000 + b"\r\n\r\n",
        SLOW + b"".join(b"X-%d: y\r\n" % n for n in range(300)) + b"\r\n",
        b"GET /" + b"y" * 2000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        SLOW + b"X: " + b"y" * 2000,
        SLOW + b"X" * 100_000,
        b"GET /" + b"y" * 100_000,
    ],
    ids=["one header", "many headers", "path", "unended value", "unended name", "unended path"],
)
async def test_a_head_that_is_too_large_is_refused(head: bytes) -> None:
    with running(header_bytes_max=1024) as server:
        answer = await exchange(server.port, head)

    assert answer.status == 431
    assert answer.problem == "headers-too-large"
    assert answer.headers["connection"] == "close"


async def test_a_head_just_below_the_limit_is_served_in_whatever_pieces_it_comes() -> None:
    head = SLOW + b"X: " + b"y" * (1000 - len(SLOW)) + b"\r\n\r\n"
    with running(header_bytes_max=1024) as server:
        whole = await exchange(server.port, head)
        in_pieces = await exchange(server.port, *[bytes([byte]) for byte in head])

    assert whole.body == in_pieces.body == b"fine"


async def test_a_large_head_that_begins_in_the_piece_of_another_request_is_refused() -> None:
    first, large = get(), SLOW + b"X: " + b"y" * 2000
    with running(header_bytes_max=1024) as server:
        async with connected(server.port) as client:
            await client.send(first + large)
            await asyncio.sleep(0.2)
            await client.send(b"\r\n\r\n")
            assert (await client.answer()).body == b"fine"
            assert (await client.answer()).problem == "headers-too-large"


async def test_the_answer_arrives_though_the_client_is_still_sending() -> None:
    with running(header_bytes_max=1024) as server:
        answer = await exchange(server.port, SLOW + b"X: ", *[b"y" * 100_000] * 30)

    assert answer.problem == "headers-too-large"


@pytest.mark.parametrize(
    "raw",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # the beginning of TLS
        b"GET /fine\r\n\r\n",
        b"GET /fine HTTP/1.1\r\n\r\n",
        b"GET /fine HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /fine HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /fine HTTP/1.1\r\nHost: a\r\nFoo : b\r\n\r\n",
        SLOW + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_with_a_problem(raw: bytes) -> None:
    with running() as server:
        async with connected(server.port) as client:
            await client.send(raw)
            answer = await client.answer()
            assert await client.rest() == b""

    assert answer.status == 400
    assert answer.problem == "malformed-request"


async def test_a_client_of_http_1_0_need_not_say_whom_it_means() -> None:
    with running() as server:
        answer = await exchange(server.port, b"GET /fine HTTP/1.0\r\n\r\n")

    assert answer.body == b"fine"


# Bodies


async def test_a_body_that_is_not_whole_in_time_is_refused_and_the_connection_closed() -> None:
    with running(request_read_seconds=0.4) as server:
        async with connected(server.port) as slow:
            await slow.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
            answer = await slow.answer()
            assert await slow.rest() == b""

    assert answer.status == 408
    assert answer.problem == "too-slow"


async def test_a_body_that_comes_byte_by_byte_gains_no_time_by_it() -> None:
    with running(request_read_seconds=0.5) as server:
        async with connected(server.port) as slow:
            began = time.monotonic()
            await slow.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
            dribbling = asyncio.ensure_future(dribble(slow.writer, b"x" * 1000))
            answer = await slow.answer()
            assert time.monotonic() - began < 2
            dribbling.cancel()

    assert answer.problem == "too-slow"


async def test_a_body_that_nobody_reads_is_not_read_for_ever() -> None:
    with running(request_read_seconds=0.4) as server:
        async with connected(server.port) as slow:
            await slow.send(b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
            assert (await slow.answer()).body == b"fine"
            assert await slow.rest() == b""  # one answer to one request

    assert problems(server) == {"too-slow": 1}


async def test_an_endless_body_is_cut() -> None:
    with running(body_bytes_max=1024) as server:
        async with connected(server.port) as client:
            await client.send(
                b"POST /unread HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            assert (await client.answer()).body == b"fine"
            with pytest.raises(OSError, match=r"reset|Broken pipe|lost"):
                await asyncio.wait_for(flood(client), 5)

    assert problems(server) == {"body-too-large": 1}


async def flood(client: Socket) -> None:
    while True:
        await client.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


async def test_an_endless_trailer_is_refused() -> None:
    raw = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: "
    with running(body_bytes_max=1024) as server:
        answer = await exchange(server.port, raw, *[b"y" * 10_000] * 20)

    assert answer.problem == "body-too-large"


async def test_trailers_are_not_taken_for_headers() -> None:
    raw = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    with running() as server:
        answer = await exchange(server.port, raw + b"X-Correlation-ID: late\r\n\r\n")

    assert answer.body == b"x"
    assert answer.headers["x-correlation-id"] != "late"


async def test_a_client_that_waits_for_a_go_gets_it() -> None:
    with running() as server:
        async with connected(server.port) as client:
            await client.send(request("POST", "/echo", "Content-Length: 2", "Expect: 100-continue"))
            assert (await client.answer()).status == 100
            await client.send(b"hi")
            assert (await client.answer()).body == b"hi"


# Connections


async def test_a_connection_that_asks_nothing_is_closed() -> None:
    with running(keep_alive_seconds=0.4) as server:
        async with connected(server.port) as idle:
            began = time.monotonic()
            assert await idle.rest() == b""

    assert 0.35 < time.monotonic() - began < 3


async def test_a_connection_that_asks_nothing_more_is_closed() -> None:
    with running(keep_alive_seconds=0.4) as server:
        async with connected(server.port) as idle:
            await idle.send(get())
            assert (await idle.answer()).status == 200
            began = time.monotonic()
            assert await idle.rest() == b""

    assert 0.35 < time.monotonic() - began < 3


async def test_a_long_answer_is_not_taken_for_an_idle_connection() -> None:
    with running(keep_alive_seconds=0.2, request_read_seconds=0.2) as server:
        async with connected(server.port) as client:
            await client.send(get("/gate"), b"\r\n")
            await asyncio.sleep(1)
            server.open_gate()
            assert (await client.answer()).body == b"through the gate"


async def test_one_connection_more_than_allowed_is_turned_away_and_the_others_go_on() -> None:
    with running(connections_max=3) as server:
        async with AsyncExitStack() as stack:
            taken = [await stack.enter_async_context(connected(server.port)) for _ in range(3)]
            await asyncio.sleep(0.1)
            async with connected(server.port) as late:
                answer = await late.answer()
                assert await late.rest() == b""
            for client in taken:
                await client.send(get())
                assert (await client.answer()).body == b"fine"
        await asyncio.sleep(0.2)
        again = await exchange(server.port, get())

    assert answer.status == 503
    assert answer.problem == "too-many-connections"
    assert answer.headers["retry-after"] == "1"
    assert again.body == b"fine"


async def test_who_is_turned_away_gets_the_answer_though_it_has_sent_a_request() -> None:
    with running(connections_max=1) as server:
        async with connected(server.port):
            await asyncio.sleep(0.1)
            for _ in range(20):
                answer = await exchange(server.port, request("POST", "/echo", body=b"x" * 8000))
                assert answer.problem == "too-many-connections"


async def test_half_open_clients_do_not_keep_others_waiting() -> None:
    with running(request_read_seconds=0.5, keep_alive_seconds=0.5) as server:
        for _ in range(20):
            gone = socket.create_connection(("127.0.0.1", server.port))
            gone.sendall(SLOW)
            gone.detach()  # it stays open, and nobody will ever close it or read from it
        began = time.monotonic()
        assert (await exchange(server.port, get())).body == b"fine"
        assert time.monotonic() - began < 0.5
        await until_no_connection(server)

    assert problems(server) == {"too-slow": 20}


async def until_no_connection(server: Running) -> None:
    async with asyncio.timeout(10):
        while server.server.connection_count:
            await asyncio.sleep(0.05)


async def test_500_idle_connections_do_not_keep_others_waiting() -> None:
    with running() as server:
        async with AsyncExitStack() as stack:
            for _ in range(500):
                await stack.enter_async_context(connected(server.port))
            slowest = 0.0
            for _ in range(100):
                began = time.monotonic()
                assert (await exchange(server.port, get())).body == b"fine"
                slowest = max(slowest, time.monotonic() - began)

            assert server.server.connection_count >= 500
    assert slowest < 0.5


async def test_a_client_that_takes_no_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.enrollment.ingress.connections.WRITE_SECONDS", 0.5)
    with running() as server:
        async with connected(server.port) as deaf:
            deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await deaf.send(get("/large"))
            await asyncio.sleep(0.2)
            assert server.server.connection_count == 1
            await until_no_connection(server)


# Several requests on one connection


async def test_pipelined_requests_are_answered_in_order() -> None:
    with running() as server:
        async with connected(server.port) as client:
            await client.send(
                get("/gate")
                + get()
                + request("POST", "/echo", body=b"a")
                + request("POST", "/echo", body=b"b")
            )
            await asyncio.sleep(0.1)
            server.open_gate()
            bodies = [(await client.answer()).body for _ in range(4)]

    assert bodies == [b"through the gate", b"fine", b"a", b"b"]


async def test_a_request_after_a_body_of_many_pieces_is_served() -> None:
    body = b"x" * 16_000
    with running(header_bytes_max=1024) as server:
        async with connected(server.port) as client:
            await client.send((request("POST", "/echo", body=body) + get()) * 3)
            bodies = [(await client.answer()).body for _ in range(6)]

    assert bodies == [body, b"fine"] * 3


async def test_only_so_many_requests_are_pipelined_and_those_are_answered() -> None:
    with running() as server:
        async with connected(server.port) as client:
            await client.send(get("/gate") + get() * 2000)
            await asyncio.sleep(0.2)
            server.open_gate()
            answers = (await client.rest()).count(b"HTTP/1.1 200 OK")

    assert answers == 17


async def test_a_slow_second_request_does_not_spoil_the_answer_to_the_first() -> None:
    with running(request_read_seconds=0.3) as server:
        async with connected(server.port) as client:
            await client.send(get("/gate") + SLOW)
            await asyncio.sleep(1)
            server.open_gate()
            answer = await client.answer()
            assert answer.body == b"through the gate"
            assert answer.headers["connection"] == "close"
            assert await client.rest() == b""


async def test_a_second_request_that_is_no_http_does_not_spoil_the_answer_to_the_first() -> None:
    with running() as server:
        async with connected(server.port) as client:
            await client.send(get("/gate") + b"hello\r\n\r\n")
            await asyncio.sleep(0.2)
            server.open_gate()
            assert (await client.answer()).body == b"through the gate"
            assert await client.rest() == b""


async def test_a_second_body_that_is_no_http_does_not_spoil_the_answer_to_the_first() -> None:
    bad = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    with running() as server:
        async with connected(server.port) as client:
            await client.send(get("/gate") + bad)
            await asyncio.sleep(0.2)
            server.open_gate()
            assert (await client.answer()).body == b"through the gate"


# Upgrades


async def test_a_request_that_asks_for_http_2_is_served_with_its_body() -> None:
    with running() as server:
        async with connected(server.port) as client:
            await client.send(request("POST", "/echo", *H2C, body=b"hello"))
            assert (await client.answer()).body == b"hello"
            await client.send(request("POST", "/echo", *H2C, "X: y", body=b"again") + get())
            assert (await client.answer()).body == b"again"
            assert (await client.answer()).body == b"fine"


async def test_a_slow_body_of_a_request_that_asks_for_http_2_is_waited_for() -> None:
    with running() as server:
        async with connected(server.port) as client:
            head, body = request("POST", "/echo", *H2C, body=b"hello").split(b"\r\n\r\n")
            await client.send(head + b"\r\n\r\n")
            await asyncio.sleep(0.1)
            await client.send(body)
            assert (await client.answer()).body == b"hello"


async def test_a_web_socket_is_answered_as_a_plain_request() -> None:
    headers = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    with running() as server:
        assert (await exchange(server.port, get("/fine", *headers))).body == b"fine"
