"""The server starts, stops and serves; whoever asks for too much gets a problem."""

import asyncio
import time

import pytest

from services.enrollment.ingress.http_server import HttpServer, connection_limits
from services.enrollment.ingress.tests.asgi import answering
from services.enrollment.ingress.tests.serving import (
    connected,
    exchange,
    get,
    request,
    running,
    settings,
)


async def test_it_listens_on_any_free_port_and_tells_which() -> None:
    with running() as one, running() as other:
        assert one.port != other.port
        assert (await exchange(one.port, get())).body == b"fine"
        assert (await exchange(other.port, get())).body == b"fine"


async def test_a_port_that_is_taken_is_an_error_of_the_start() -> None:
    with running() as taken:
        limits = connection_limits(settings())
        late = HttpServer(answering(), "127.0.0.1", taken.port, limits)

        with pytest.raises(OSError, match="in use"):
            await late.start()


async def test_requests_that_are_at_work_are_answered_before_it_stops() -> None:
    with running() as server:
        async with connected(server.port) as socket:
            await socket.send(get("/gate"))
            await asyncio.sleep(0.1)
            server.stop()
            await asyncio.sleep(0.3)
            with pytest.raises(ConnectionRefusedError):
                await exchange(server.port, get())
            server.open_gate()

            assert (await socket.answer()).body == b"through the gate"
            assert await socket.rest() == b""


async def test_it_stops_in_time_whatever_is_at_work() -> None:
    with running(stop_seconds=1) as server:
        async with connected(server.port) as at_work, connected(server.port) as idle:
            await at_work.send(get("/gate"))
            await asyncio.sleep(0.1)
            began = time.monotonic()
            server.stop()
            assert await idle.rest() == b""
            assert time.monotonic() - began < 0.9
            await at_work.rest()

    assert 0.9 < time.monotonic() - began < 4


async def test_it_leaves_the_processes_signals_alone() -> None:
    import signal  # noqa: PLC0415  (only here)

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    server = HttpServer(answering(), "127.0.0.1", 0, connection_limits(settings()))

    await server.start()
    during = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    await server.stop()

    assert during == before


async def test_every_answer_has_a_correlation_id_and_none_has_what_the_client_smuggled() -> None:
    with running() as server:
        good = await exchange(server.port, get("/fine", "X-Correlation-ID: a-1"))
        assert good.headers["x-correlation-id"] == "a-1"
        for bad in ("a%0d%0aSet-Cookie: x=1", "a\tb", "a b", "ñ"):
            answer = await exchange(server.port, get("/fine", f"X-Correlation-ID: {bad}"))
            assert answer.status == 200
            assert "set-cookie" not in answer.headers
            assert bad not in answer.headers["x-correlation-id"]


@pytest.mark.parametrize("injected", [b"a\rSet-Cookie: x=1", b"a\nSet-Cookie: x=1", b"a\x00b"])
async def test_a_header_with_a_line_end_in_it_is_no_http(injected: bytes) -> None:
    raw = b"GET /fine HTTP/1.1\r\nHost: a\r\nX-Correlation-ID: " + injected + b"\r\n\r\n"
    with running() as server:
        answer = await exchange(server.port, raw)

    assert "set-cookie" not in answer.headers
    assert injected.decode() not in answer.headers["x-correlation-id"]


async def test_the_correlation_id_is_in_problems_of_the_server_itself() -> None:
    with running(request_read_seconds=0.3) as server:
        raw = b"GET / HTTP/1.1\r\nHost: a\r\nX-Correlation-ID: a-1\r\nX-Slow: "
        answer = await exchange(server.port, raw)

    assert answer.headers["x-correlation-id"] == "a-1"
    assert answer.problem == "too-slow"


async def test_a_body_that_is_declared_too_large_is_refused_unread() -> None:
    with running(body_bytes_max=1024) as server:
        head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n"
        answer = await exchange(server.port, head)

    assert answer.status == 413
    assert answer.problem == "body-too-large"


async def test_a_body_at_the_limit_is_taken() -> None:
    with running(body_bytes_max=1024) as server:
        answer = await exchange(server.port, request("POST", "/echo", body=b"x" * 1024))

    assert answer.body == b"x" * 1024


def chunked(path: str, *chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    head = request("POST", path, "Transfer-Encoding: chunked")
    return head + b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + end


async def test_a_chunked_body_is_refused_once_it_is_too_large() -> None:
    with running(body_bytes_max=1024) as server:
        fits = await exchange(server.port, chunked("/echo", *[b"x" * 64] * 16))
        answer = await exchange(server.port, chunked("/echo", *[b"x" * 64] * 17))

    assert fits.body == b"x" * 1024
    assert answer.status == 413
    assert answer.problem == "body-too-large"


async def test_a_batch_may_be_larger_than_other_bodies() -> None:
    with running(body_bytes_max=1024, batch_body_bytes_max=100_000) as server:
        body = b"x" * 100_000
        fits = await exchange(server.port, request("POST", "/enrollments:batch", body=body))
        answer = await exchange(
            server.port, request("POST", "/enrollments:batch", body=body + b"x")
        )

    assert fits.body == body
    assert answer.status == 413


async def test_a_body_of_single_bytes_in_chunks_is_taken_up_to_the_limit() -> None:
    with running() as server:
        answer = await exchange(server.port, chunked("/echo", *[b"x"] * 16 * 1024))

    assert answer.body == b"x" * 16 * 1024


async def test_more_requests_than_may_be_at_work_are_told_to_come_back() -> None:
    with running(requests_in_flight_max=2) as server:
        async with connected(server.port) as one, connected(server.port) as two:
            await one.send(get("/gate"))
            await two.send(get("/gate"))
            await asyncio.sleep(0.1)
            refused = await exchange(server.port, get())
            health = await exchange(server.port, get("/health/live"))
            server.open_gate()
            assert (await one.answer()).status == (await two.answer()).status == 200
            later = await exchange(server.port, get())

    assert refused.status == 503
    assert refused.problem == "overloaded"
    assert refused.headers["retry-after"] == "1"
    assert health.body == b"fine"
    assert later.body == b"fine"


async def test_who_only_waits_steps_aside_for_others() -> None:
    with running(requests_in_flight_max=1) as server:
        async with connected(server.port) as one, connected(server.port) as two:
            await one.send(get("/gate?aside=true"))
            await two.send(get("/gate?aside=true"))
            await asyncio.sleep(0.1)
            assert (await exchange(server.port, get())).body == b"fine"
            server.open_gate()
            assert (await one.answer()).status == (await two.answer()).status == 200
            assert (await exchange(server.port, get())).body == b"fine"


async def test_who_waits_for_a_slow_client_takes_nobodys_place() -> None:
    head = request("POST", "/echo", "Content-Length: 5")
    with running(requests_in_flight_max=1) as server:
        async with connected(server.port) as one, connected(server.port) as two:
            await one.send(head, b"he")
            await two.send(head, b"he")
            await asyncio.sleep(0.1)
            others = await exchange(server.port, get())
            await one.send(b"llo")
            first = await one.answer()
            await two.send(b"llo")
            second = await two.answer()

    assert others.body == b"fine"
    assert first.body == second.body == b"hello"


async def test_whose_place_was_taken_while_it_was_slow_is_told_to_come_back() -> None:
    with running(requests_in_flight_max=1) as server:
        async with connected(server.port) as slow, connected(server.port) as quick:
            await slow.send(request("POST", "/echo", "Content-Length: 5"), b"he")
            await asyncio.sleep(0.1)
            await quick.send(get("/gate"))
            await asyncio.sleep(0.1)
            await slow.send(b"llo")
            refused = await slow.answer()
            server.open_gate()
            served = await quick.answer()
            later = await exchange(server.port, get())

    assert refused.problem == "overloaded"
    assert served.body == b"through the gate"
    assert later.body == b"fine"


async def test_who_takes_no_answer_takes_nobodys_place() -> None:
    with running(stop_seconds=1, requests_in_flight_max=1) as server:
        async with connected(server.port) as one, connected(server.port) as two:
            for deaf in (one, two):
                deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]
                await deaf.send(get("/large") * 3)
            await asyncio.sleep(0.5)
            others = await exchange(server.port, get())

    assert others.body == b"fine"
