"""Who is sent away before a request costs anything, and how."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import pytest

from services.enrollment.ingress.acceptance import Acceptance
from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.shedding import Shedding
from services.enrollment.ingress.tests.serving import connected, exchange, get, request, running

LAG_SECONDS_MAX = 0.1
WAIT = "requests wait for 11 s"


def let_in() -> Problem | None:
    """Take requests for sections."""
    return None


def send_away() -> Problem | None:
    """Take none."""
    return Problem(ProblemType.OVERLOADED, WAIT, retry_after_seconds=2)


@dataclass
class Queue:
    """Where requests wait for so long."""

    age_seconds: float = 0.0


def acceptance_of(queue: Queue) -> Acceptance:
    """Make one that only ever sheds."""
    unused: Any = None
    return Acceptance(
        publisher=unused,
        kafka_breaker=unused,
        answers=unused,
        quotas=unused,
        view=unused,
        queue=queue,
        shed_age_seconds=10.0,
        clock=unused,
    )


@dataclass
class Door:
    """What the server asks before each request."""

    problem: Problem | None = None

    def __call__(self, _method: str, _path: str) -> Problem | None:
        return self.problem


def test_while_requests_wait_too_long_only_those_for_sections_are_sent_away() -> None:
    shedding = Shedding(send_away, LAG_SECONDS_MAX)

    assert [
        (method, path)
        for method in ("POST", "GET", "DELETE")
        for path in ("/enrollments", "/enrollments:batch", "/enrollments/1", "/queue/sagas")
        if shedding(method, path) is not None
    ] == [("POST", "/enrollments"), ("POST", "/enrollments:batch"), ("POST", "/enrollments/1")]


@pytest.mark.parametrize("path", ["/enrollments", "/sections", "/queue/sagas", "/nowhere"])
def test_while_the_process_is_late_all_are_sent_away(path: str) -> None:
    shedding = Shedding(let_in, LAG_SECONDS_MAX)
    assert shedding("GET", path) is None

    shedding.lag_seconds = 2 * LAG_SECONDS_MAX

    problem = shedding("GET", path)
    assert problem is not None
    assert problem.kind is ProblemType.OVERLOADED
    assert problem.retry_after_seconds == 1


def test_who_comes_while_requests_wait_too_long_is_told_how_long_they_do() -> None:
    queue = Queue()
    acceptance = acceptance_of(queue)

    queue.age_seconds = 10.0
    assert acceptance.overload() is None

    queue.age_seconds = 10.6
    problem = acceptance.overload()
    assert problem is not None
    assert problem.kind is ProblemType.OVERLOADED
    assert problem.detail.startswith(WAIT)
    assert problem.retry_after_seconds == 2


def test_what_many_are_told_is_one_problem_until_the_wait_is_another() -> None:
    queue = Queue(age_seconds=10.6)
    acceptance = acceptance_of(queue)

    told = acceptance.overload()
    queue.age_seconds = 11.4
    assert told is not None
    assert acceptance.overload() is told

    queue.age_seconds = 12.0
    assert acceptance.overload() is not told


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
def test_who_watches_the_process_is_let_in_also_while_it_is_late(path: str) -> None:
    shedding = Shedding(let_in, LAG_SECONDS_MAX)
    shedding.lag_seconds = 2 * LAG_SECONDS_MAX

    assert shedding("GET", path) is None


async def keep(seconds: float) -> None:
    """Let nobody else have the event loop, and then everybody who is due."""
    time.sleep(seconds)  # noqa: ASYNC251  (this is what is meant)
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_lag_tells_that_the_event_loop_is_kept_and_that_it_is_no_more() -> None:
    shedding = Shedding(let_in, LAG_SECONDS_MAX)
    beating = asyncio.create_task(shedding.run())
    await asyncio.sleep(0.05)

    await keep(3 * LAG_SECONDS_MAX)
    after_one = shedding.lag_seconds
    await keep(3 * LAG_SECONDS_MAX)
    after_two = shedding.lag_seconds
    async with asyncio.timeout(10):
        while shedding.lag_seconds > LAG_SECONDS_MAX:
            await asyncio.sleep(0)
    beating.cancel()

    assert after_one < LAG_SECONDS_MAX
    assert after_two > 2 * LAG_SECONDS_MAX


def overloaded() -> Door:
    return Door(Problem(ProblemType.OVERLOADED, WAIT, retry_after_seconds=2))


async def test_who_is_sent_away_is_told_when_to_come_again_and_keeps_the_connection() -> None:
    door = overloaded()
    with running(overload=door) as server:
        async with connected(server.port) as client:
            await client.send(request("POST", "/echo", "X-Correlation-ID: mine", body=b"hello"))
            away = await client.answer()
            door.problem = None
            await client.send(request("POST", "/echo", body=b"again"))
            served = await client.answer()
        counts = dict(server.server.connections.counts())

    assert (away.status, away.problem) == (503, "overloaded")
    assert away.headers["retry-after"] == "2"
    assert away.headers["x-correlation-id"] == "mine"
    assert "connection" not in away.headers
    assert served.body == b"again"
    assert counts == {"overloaded": 1}


async def test_a_body_that_comes_in_pieces_after_the_answer_is_passed_over() -> None:
    door = overloaded()
    with running(overload=door) as server:
        async with connected(server.port) as client:
            await client.send(request("POST", "/echo", "Content-Length: 10"))
            away = await client.answer()
            await client.send(b"hello", b"hello")
            door.problem = None
            await client.send(get())
            served = await client.answer()

    assert away.problem == "overloaded"
    assert served.body == b"fine"


async def test_requests_sent_in_one_go_are_answered_in_their_order() -> None:
    door = Door()
    with running(overload=door) as server:
        async with connected(server.port) as client:
            await client.send(get("/gate"), get(), get())
            await asyncio.sleep(0.1)
            door.problem = overloaded().problem
            server.open_gate()
            answers = [await client.answer() for _ in range(3)]

    assert [one.status for one in answers] == [200, 503, 503]


async def test_requests_sent_in_one_go_are_sent_away_each_with_its_own_correlation_id() -> None:
    door = Door()
    ids = ["a", "b" * 128, "c-3"]
    with running(overload=door) as server:
        async with connected(server.port) as client:
            await client.send(
                get("/gate") + b"".join(get("/fine", f"X-Correlation-ID: {one}") for one in ids)
            )
            await asyncio.sleep(0.1)
            door.problem = overloaded().problem
            server.open_gate()
            answers = [await client.answer() for _ in range(4)][1:]

    assert [one.problem for one in answers] == ["overloaded"] * 3
    assert [one.headers["x-correlation-id"] for one in answers] == ids


async def test_who_is_sent_away_is_told_the_time_of_day() -> None:
    with running(overload=overloaded()) as server:
        async with connected(server.port) as client:
            await client.send(get())
            first = await client.answer()
            await asyncio.sleep(2.2)
            await client.send(get())
            second = await client.answer()

    assert first.headers["date"] != second.headers["date"]


async def test_who_closes_the_connection_has_it_closed() -> None:
    with running(overload=overloaded()) as server:
        async with connected(server.port) as client:
            await client.send(request("POST", "/echo", "Connection: close", body=b"hello"))
            away = await client.answer()
            rest = await client.rest()

    assert (away.problem, away.headers["connection"]) == ("overloaded", "close")
    assert rest == b""


async def test_who_asks_whether_to_send_a_body_is_spared_it() -> None:
    head = request("POST", "/echo", "Content-Length: 5", "Expect: 100-continue")
    with running(overload=overloaded()) as server:
        async with connected(server.port) as client:
            await client.send(head)
            away = await client.answer()
            rest = await client.rest()

    assert (away.problem, away.headers["connection"]) == ("overloaded", "close")
    assert rest == b""


async def test_an_answer_to_head_has_no_body() -> None:
    with running(overload=overloaded()) as server:
        async with connected(server.port) as client:
            await client.send(request("HEAD", "/fine"), request("HEAD", "/fine"))
            text = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 10)
            next_text = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 10)

    assert text.startswith(b"HTTP/1.1 503 ")
    assert next_text.startswith(b"HTTP/1.1 503 ")


async def test_a_body_that_never_ends_is_cut_off_also_after_the_answer() -> None:
    with running(overload=overloaded(), body_bytes_max=1024) as server:
        async with connected(server.port) as client:
            await client.send(request("POST", "/echo", "Content-Length: 10000000"))
            away = await client.answer()
            await client.send(*[b"x" * 65_536] * 4)
            rest = await client.rest()

    assert away.problem == "overloaded"
    assert rest == b""


async def test_how_many_were_sent_away_is_said_in_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running(overload=overloaded()) as server:
        for _ in range(3):
            await exchange(server.port, get())
        server.server._tell_of_sent_away()
        server.server._tell_of_sent_away()

    lines = [text for text in caplog.messages if "sent away" in text]
    assert lines == ["sent away 3 requests: there is more to do than can be done"]
