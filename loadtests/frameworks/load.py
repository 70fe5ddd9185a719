"""Sends prepared requests over connections that are kept, each as soon as the last is answered.

It is so plain because it shares the machine with what it measures.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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


async def send_all(port: int, requests: Sequence[bytes], connections: int) -> Sent:
    """Send everything, and wait for a 202 to each."""
    loop = asyncio.get_running_loop()
    waiting, milliseconds = iter(requests), list[float]()
    began = perf_counter()
    clients = [_Connection(waiting, milliseconds, loop.create_future()) for _ in range(connections)]
    try:
        for client in clients:
            await loop.create_connection(client.itself, LOOPBACK, port)
        async with asyncio.timeout(ANSWER_SECONDS):
            await asyncio.gather(*(client.ended for client in clients))
    finally:
        await _close(clients)
    return Sent(perf_counter() - began, milliseconds)


class _Connection(asyncio.Protocol):
    """`ended` is done once it is closed, and fails where that is too early."""

    def __init__(
        self,
        waiting: Iterator[bytes],
        milliseconds: list[float],
        ended: "asyncio.Future[None]",
    ) -> None:
        self._waiting = waiting
        self._milliseconds = milliseconds
        self._received = b""
        self._why = "the server has closed the connection"
        self._is_finished = False
        self.transport: asyncio.Transport | None = None
        self.ended = ended

    def itself(self) -> "_Connection":
        """Be one's own factory, as the event loop wants one."""
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._send_next(self.transport)

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        self._received += data
        head, found, body = self._received.partition(HEAD_END)
        if not found:
            return
        length = LENGTH.search(head + b"\r")
        if head[9:12] != ACCEPTED or length is None:
            self._why = f"the server answered: {self._received[:SHOWN_MAX]!r}"
            self.transport.abort()
        elif len(body) >= int(length[1]):
            self._milliseconds.append((perf_counter() - self._sent_at) * 1000)
            self._received = b""
            self._send_next(self.transport)

    def connection_lost(self, _error: Exception | None) -> None:
        if self.ended.done():
            return
        if self._is_finished:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(LoadError(self._why))

    def _send_next(self, transport: asyncio.Transport) -> None:
        request = next(self._waiting, None)
        if request is None:
            self._is_finished = True
            transport.close()
            return
        self._sent_at = perf_counter()
        transport.write(request)


async def _close(clients: Sequence[_Connection]) -> None:
    """Leave nothing open, however it ended."""
    opened = [client for client in clients if client.transport is not None]
    for client in opened:
        cast("asyncio.Transport", client.transport).abort()
    if opened:
        await asyncio.wait([client.ended for client in opened])
