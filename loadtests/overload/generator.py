"""An open-loop generator: sends on schedule, however slowly it is answered, and repeats nothing.

It is so plain because it shares the machine with what it measures.
"""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final, cast

from loadtests.overload.ledger import ACCEPTED, REFUSALS, Ledger

TICK_SECONDS: Final = 0.002
ANSWER_SECONDS: Final = 15.0
CONNECTIONS_MAX: Final = 4000
HEAD_END: Final = b"\r\n\r\n"
LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
RETRY_AFTER: Final = re.compile(rb"\r\nretry-after: *\d+", re.IGNORECASE)
PROBLEM: Final = re.compile(rb'"/problems/([a-z-]+)"')
CLOSING: Final = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)

OnAccepted = Callable[[int, str], None]  # a request's number, and its enrollment


class Generator:
    """Sends over connections that are kept, and opens another where all are at work."""

    def __init__(
        self,
        addresses: Sequence[tuple[str, int]],
        request: Callable[[int], bytes],
        ledger: Ledger,
        on_accepted: OnAccepted,
    ) -> None:
        self._addresses = addresses
        self._request = request
        self._ledger = ledger
        self._on_accepted = on_accepted
        self._idle: list[_Connection] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._open_ones: set[_Connection] = set()
        self.in_flight = 0

    async def offer(self, rate: float, seconds: float) -> range:
        """Send at this rate for so long, wait for the answers, and give the requests' numbers."""
        first, first_at = len(self._ledger.due_at), perf_counter()
        count = int(rate * seconds)
        for number in range(count):
            due_at = first_at + number / rate
            while perf_counter() < due_at:
                await asyncio.sleep(TICK_SECONDS)
            self._send(due_at)
            if number % 50 == 0:  # behind: answers must be read all the same
                await asyncio.sleep(0)
        await self._answers()
        return range(first, first + count)

    async def _answers(self) -> None:
        until = perf_counter() + ANSWER_SECONDS
        while self.in_flight and perf_counter() < until:
            await asyncio.sleep(TICK_SECONDS)

    def _send(self, due_at: float) -> None:
        number = self._ledger.sent(due_at, perf_counter())
        self.in_flight += 1
        if self._idle:
            self._idle.pop().send(number, self._request(number))
        elif len(self._open_ones) + len(self._opening) < CONNECTIONS_MAX:
            task = asyncio.get_running_loop().create_task(self._open(number))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        else:
            self.in_flight -= 1  # lost: a client that nobody listens to

    async def _open(self, number: int) -> None:
        host, port = self._addresses[number % len(self._addresses)]
        loop = asyncio.get_running_loop()
        try:
            _, made = await loop.create_connection(lambda: _Connection(self), host, port)
        except OSError:
            self.in_flight -= 1
            return
        self._open_ones.add(made)
        made.send(number, self._request(number))

    def answered(
        self, by: "_Connection", number: int, status: int, head: bytes, body: bytes
    ) -> None:
        """Note an answer, and use the connection again."""
        self.in_flight -= 1
        self._ledger.answered(number, status, perf_counter())
        if status == ACCEPTED:
            self._on_accepted(number, json.loads(body)["enrollment_id"])
        elif status in REFUSALS:
            problem = PROBLEM.search(body)
            named = problem[1].decode() if problem else "no problem"
            self._ledger.refused(named, says_when=RETRY_AFTER.search(head) is not None)
        if CLOSING.search(head) is None:
            self._idle.append(by)

    def lost(self, connection: "_Connection", *, was_at_work: bool) -> None:
        """Forget a connection that has ended."""
        self._open_ones.discard(connection)
        if was_at_work:
            self.in_flight -= 1
        elif connection in self._idle:
            self._idle.remove(connection)

    async def close(self) -> None:
        """End all connections."""
        await asyncio.gather(*self._opening, return_exceptions=True)
        for connection in self._open_ones:
            connection.abort()
        while self._open_ones:
            await asyncio.sleep(TICK_SECONDS)


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, owner: Generator) -> None:
        self._owner = owner
        self._received = b""
        self._number: int | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, number: int, request: bytes) -> None:
        assert self._transport is not None
        self._number = number
        self._transport.write(request)

    def abort(self) -> None:
        assert self._transport is not None
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(HEAD_END)
        length = LENGTH.search(head) if found else None
        if self._number is None or length is None or len(body) < int(length[1]):
            return
        number, self._number, self._received = self._number, None, b""
        self._owner.answered(self, number, int(head[9:12]), head, body)

    def connection_lost(self, _error: Exception | None) -> None:
        self._owner.lost(self, was_at_work=self._number is not None)
        self._number = None
