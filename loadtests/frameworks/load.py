"""Sends prepared requests over connections that are kept, each as soon as the last is answered.

It is so plain because it shares the machine with what it measures.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final, cast

from deploy.local.ports import LOOPBACK

ACCEPTED: Final = b"202"
HEAD_END: Final = b"\r\n\r\n"
LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r", re.IGNORECASE)
ANSWER_SECONDS: Final = 60.0
SHOWN_MAX: Final = 2000


class LoadError(Exception):
    """The server did not do what is to be measured."""


@dataclass(frozen=True)
class Sent:
    """How long all took, and each."""

    seconds: float
    milliseconds: list[float]


@asynccontextmanager
async def connected(port: int, connections: int) -> AsyncIterator["Client"]:
    """Open connections, and close all, however it ends."""
    loop = asyncio.get_running_loop()
    opened: list[_Connection] = []
    try:
        for _ in range(connections):
            _, one = await loop.create_connection(_Connection, LOOPBACK, port)
            opened.append(one)
        yield Client(opened)
    finally:
        for one in opened:
            one.transport.abort()
        await asyncio.gather(*(one.lost for one in opened))


class Client:
    """Sends over all its connections at once."""

    def __init__(self, connections: Sequence["_Connection"]) -> None:
        self._connections = connections

    async def send(self, requests: Sequence[bytes]) -> Sent:
        """Send everything, and wait for a 202 to each."""
        assert len(requests) >= len(self._connections)
        ended = asyncio.get_running_loop().create_future()
        work = _Work(iter(requests), len(requests), ended)
        began = perf_counter()
        for connection in self._connections:
            connection.begin(work)
        async with asyncio.timeout(ANSWER_SECONDS):
            await ended
        return Sent(perf_counter() - began, work.milliseconds)


@dataclass
class _Work:
    """What all connections send together."""

    waiting: Iterator[bytes]
    unanswered: int
    ended: "asyncio.Future[None]"
    milliseconds: list[float] = field(default_factory=list)

    def answered(self, milliseconds: float) -> None:
        self.milliseconds.append(milliseconds)
        self.unanswered -= 1
        if self.unanswered == 0:
            self.ended.set_result(None)

    def fail(self, why: str) -> None:
        if not self.ended.done():
            self.ended.set_exception(LoadError(why))


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def begin(self, work: _Work) -> None:
        self._work = work
        self._send_next()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(HEAD_END)
        if not found:
            return
        length = LENGTH.search(head + b"\r")
        if head[9:12] != ACCEPTED or length is None:
            self._work.fail(f"the server answered: {self._received[:SHOWN_MAX]!r}")
        elif len(body) >= int(length[1]):
            self._received = b""
            self._work.answered((perf_counter() - self._sent_at) * 1000)
            self._send_next()

    def connection_lost(self, _error: Exception | None) -> None:
        self._work.fail("the server has closed the connection")
        self.lost.set_result(None)

    def _send_next(self) -> None:
        request = next(self._work.waiting, None)
        if request is not None:
            self._sent_at = perf_counter()
            self.transport.write(request)
