"""Load that never reaches the system: the generator has as much to do, the ingress has not.

What is measured beside it has what the generator, on the same machine, leaves to it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, cast

from deploy.local.ports import LOOPBACK
from loadtests.overload.generator import Generator
from loadtests.overload.ledger import LOST, Ledger
from loadtests.plain_http.connection import HEAD_END, LENGTH

BACKLOG: Final = 1024
BODY: Final = b'{"type": "/problems/ballast", "title": "Nothing is done here", "status": 503}'
ANSWER: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"content-type: application/problem+json\r\n"
    b"content-length: %d\r\n"
    b"retry-after: 1\r\n"
    b"\r\n%b" % (len(BODY), BODY)
)


@dataclass(frozen=True)
class Offered:
    """What was sent beside the system, and how far behind its schedule."""

    rate: float
    sent: int
    answered: int
    late_ms_max: float


class Ballast:
    """A generator of its own, at a server that refuses all at once."""

    def __init__(self, address: tuple[str, int], request: Callable[[int], bytes]) -> None:
        self._ledger = Ledger()
        self._generator = Generator([address], request, self._ledger, _never_accepted)

    async def offer(self, rate: float, seconds: float) -> Offered:
        """Send at this rate for so long, and wait for the answers."""
        self._ledger.late_seconds_max = 0.0
        numbers = await self._generator.offer(rate, seconds)
        return Offered(
            rate=rate,
            sent=len(numbers),
            answered=len(numbers) - self._ledger.counts(numbers)[LOST],
            late_ms_max=round(self._ledger.late_seconds_max * 1000, 1),
        )

    async def close(self) -> None:
        """End all connections."""
        await self._generator.close()


@asynccontextmanager
async def ballast(request: Callable[[int], bytes]) -> AsyncIterator[Ballast]:
    """Have ballast for a block, with its server on the block's own event loop."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(RefusesAll, LOOPBACK, 0, backlog=BACKLOG)
    async with server:
        made = Ballast(server.sockets[0].getsockname(), request)
        try:
            yield made
        finally:
            await made.close()


class RefusesAll(asyncio.Protocol):
    """Answers each request with the same bytes."""

    def __init__(self) -> None:
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a client."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer what has come whole."""
        assert self._transport is not None
        self._received += data
        while (size := _first_size(self._received)) is not None:
            self._received = self._received[size:]
            self._transport.write(ANSWER)


def _first_size(received: bytes) -> int | None:
    """Give how long the first request is, or None while it is not whole."""
    head_size = received.find(HEAD_END)
    if head_size < 0:
        return None
    length = LENGTH.search(received, 0, head_size)
    size = head_size + len(HEAD_END) + (int(length[1]) if length else 0)
    return size if len(received) >= size else None


def _never_accepted(number: int, _enrollment_id: str) -> None:
    raise AssertionError(f"ballast {number} was accepted: its server has another address")
