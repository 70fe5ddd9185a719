"""Clients that are slow, silent or gone take nothing from the others, and are gone in the end."""

import asyncio
import logging
import os
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psutil
import pytest

from services.enrollment.ingress.tests.serving import get, request
from services.tests.http.client import HttpClient, http_client
from services.tests.http.scenario import Scenario, new_key
from services.tests.saga.client import Saga
from services.tests.saga.waiting import eventually

LOGGER = logging.getLogger(__name__)
IDLE = 5000
MANY = 200
MORE_THAN_MAY_BE_AT_WORK = 1200
OTHERS = 8
REQUESTS_OF_EACH = 12
TRIES = 3
SERVED_SECONDS = 1.0  # as promised; the log tells how much slower others were
GROWTH_BYTES = 100 * 2**20
FILES = 10_000
LARGE = "/static-offline-docs/swagger-ui-bundle.js"
GONE_SECONDS = 90.0  # idle ones after 30 s, those that take no answer after 30 s more at most


@dataclass
class Place:
    """The running ingress, and a student who asks for seats all the while."""

    saga: Saga
    http: HttpClient
    story: Scenario
    port: int
    process: psutil.Process
    sockets: ExitStack = field(default_factory=ExitStack)

    def connect(self, data: bytes = b"") -> socket.socket:
        """Connect, send something, and read nothing."""
        made = self.sockets.enter_context(socket.create_connection(("127.0.0.1", self.port), 20))
        made.sendall(data)
        made.setblocking(False)
        return made

    def crowd(self) -> int:
        """Count the connections of clients."""
        found = self.process.net_connections(kind="tcp")
        return sum(one.laddr.port == self.port and bool(one.raddr) for one in found)

    async def p95_seconds(self) -> float:
        """Ask like many clients who behave, and give how long 95 of 100 answers take at most."""
        found = await asyncio.gather(*(self._behave() for _ in range(OTHERS)))
        seconds = sorted(one for answers in found for one in answers)
        return seconds[len(seconds) * 95 // 100]

    async def _behave(self) -> list[float]:
        seconds = []
        for number in range(REQUESTS_OF_EACH):
            if number % 2:
                answer = await self.story.read()
            else:
                story = self.story
                answer = await self.http.enroll(story.student, story.term, "A", key=new_key())
            assert answer.status in {200, 202}, answer
            seconds.append(answer.seconds)
        return seconds


@pytest.fixture
async def place(saga: Saga) -> AsyncIterator[Place]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES), hard))
    async with http_client(saga.state_dir) as http:
        story = Scenario(saga, http)
        await story.set_up({"A": 500})
        pid, port = saga.pid("ingress"), urlsplit(http.url).port
        assert pid is not None
        assert port is not None
        made = Place(saga, http, story, port, psutil.Process(pid))
        await made.p95_seconds()  # to warm up
        with made.sockets:
            yield made
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def not_in_the_way(place: Place) -> AsyncIterator[None]:
    """Hold what comes in this block to keep others from nothing that they are promised."""
    before = await place.p95_seconds()
    memory = place.process.memory_info().rss
    yield
    during = await place.p95_seconds()
    for _ in range(TRIES - 1):
        if during < SERVED_SECONDS:
            break
        during = await place.p95_seconds()
    grown = place.process.memory_info().rss - memory
    LOGGER.info("p95 %.0f, then %.0f ms; +%.0f MiB", before * 1e3, during * 1e3, grown / 2**20)
    assert during < SERVED_SECONDS
    assert grown < GROWTH_BYTES


async def connect_many(place: Place, count: int, data: bytes = b"") -> list[socket.socket]:
    """Connect, and wait until the ingress has taken them all."""
    made = []
    for number in range(count):
        made.append(place.connect(data))
        if number % 50 == 0:
            await asyncio.sleep(0)

    async def taken() -> bool:
        return place.crowd() >= count

    await eventually(f"{count} connections", taken)
    return made


async def has_begun(one: socket.socket) -> None:
    """Wait for the beginning of an answer, and do not read it."""

    async def look() -> bool:
        with _cut_off():
            return bool(one.recv(1, socket.MSG_PEEK))
        return False

    await eventually("an answer", look)


async def dribble(sockets: list[socket.socket], data: bytes) -> None:
    """Send a byte of it on each, again and again."""
    for byte in data:
        for one in sockets:
            with _cut_off():
                one.send(bytes([byte]))
        await asyncio.sleep(0.2)


def _cut_off() -> suppress:
    """Take it as it comes where the other side has gone, or there is nothing yet."""
    return suppress(ConnectionError, BlockingIOError)


async def answers(sockets: list[socket.socket]) -> list[bytes]:
    """Read what came back on each; the end of the stream included."""
    loop = asyncio.get_running_loop()

    async def read(one: socket.socket) -> bytes:
        found = b""
        async with asyncio.timeout(20):
            while piece := await loop.sock_recv(one, 65536):
                found += piece
        return found

    return await asyncio.gather(*(read(one) for one in sockets))


async def test_5000_idle_connections_keep_nobody_waiting(place: Place) -> None:
    async with not_in_the_way(place):
        await connect_many(place, IDLE)


async def test_200_slow_heads_keep_nobody_waiting_and_are_refused(place: Place) -> None:
    async with not_in_the_way(place):
        slow = await connect_many(place, MANY, b"GET /health/live HTTP/1.1\r\nHost: a\r\nX: ")
        dribbling = asyncio.ensure_future(dribble(slow, b"y" * 100))

    said = await answers(slow)
    dribbling.cancel()
    assert all(one.startswith(b"HTTP/1.1 408 ") for one in said)


async def test_1200_slow_bodies_keep_nobody_waiting_and_are_refused(place: Place) -> None:
    token = f"Authorization: Bearer {place.http.student(place.story.student)}"
    head = request(
        "POST", "/enrollments", token, "Content-Type: application/json", "Content-Length: 1000"
    )
    async with not_in_the_way(place):
        slow = await connect_many(place, MORE_THAN_MAY_BE_AT_WORK, head)
        dribbling = asyncio.ensure_future(dribble(slow, b" " * 100))

    said = await answers(slow)
    dribbling.cancel()
    assert all(one.startswith(b"HTTP/1.1 408 ") for one in said)


async def test_200_clients_that_take_no_answer_keep_nobody_waiting(place: Place) -> None:
    async with not_in_the_way(place):
        await connect_many(place, MANY, get(LARGE) * 10)


async def test_1200_who_wait_for_events_and_read_none_take_nobodys_place(place: Place) -> None:
    student = place.saga.pid("student")
    assert student is not None
    os.kill(student, signal.SIGSTOP)
    try:
        one = place.story.others[0]
        asked = await place.http.enroll(one, place.story.term, "A")
        path = f"{asked.headers['Location']}/events"
        token = f"Authorization: Bearer {place.http.student(one)}"
        async with not_in_the_way(place):
            waiting = []
            for _ in range(12):  # no more than may be at work at once
                some = await connect_many(place, 100, get(path, token, "Connection: close"))
                await asyncio.gather(*map(has_begun, some))
                waiting += some
    finally:
        os.kill(student, signal.SIGCONT)

    said = await answers(waiting)
    assert all(one.startswith(b"HTTP/1.1 200 ") for one in said)
    assert all(b"event: EnrollmentConfirmed" in one for one in said)


async def test_half_open_clients_and_all_the_others_are_gone_in_the_end(place: Place) -> None:
    token = f"Authorization: Bearer {place.http.student(place.story.student)}"
    begun = request("POST", "/enrollments", token, "Content-Length: 1000")
    before, memory = place.crowd(), place.process.memory_info().rss
    async with not_in_the_way(place):
        for data in (b"", b"GET /hea", begun, get("/health/live"), get(LARGE) * 10):
            await connect_many(place, MANY, data)
        halved = await connect_many(place, MANY, b"GET /hea")
        for one in halved:
            one.shutdown(socket.SHUT_WR)

    async def gone() -> bool:
        return place.crowd() <= before

    began = time.monotonic()
    await eventually("none is left", gone, GONE_SECONDS)
    LOGGER.info("gone after %.0f s", time.monotonic() - began)
    assert place.process.memory_info().rss - memory < GROWTH_BYTES
