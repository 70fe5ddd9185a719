"""An open-loop generator: sends on schedule, however slowly it is answered, and repeats nothing.

It is so plain because it shares the machine with what it measures.
"""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final

from loadtests.overload.ledger import ACCEPTED, REFUSALS, Ledger
from loadtests.plain_http.connection import PlainConnection, is_closing

TICK_SECONDS: Final = 0.002
ANSWER_SECONDS: Final = 15.0
CONNECTIONS_MAX: Final = 8000
RETRY_AFTER: Final = re.compile(rb"\r\nretry-after: *\d+", re.IGNORECASE)
PROBLEM: Final = re.compile(rb'"/problems/([a-z-]+)"')

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
        self._idle: list[PlainConnection] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._open_ones: set[PlainConnection] = set()
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
            _, made = await loop.create_connection(lambda: PlainConnection(self), host, port)
        except OSError:
            self.in_flight -= 1
            return
        self._open_ones.add(made)
        made.send(number, self._request(number))

    def answered(
        self, by: PlainConnection, number: int, status: int, head: bytes, body: bytes
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
        if not is_closing(head):
            self._idle.append(by)

    def lost(self, connection: PlainConnection, number: int | None) -> None:
        """Forget a connection that has ended."""
        self._open_ones.discard(connection)
        if number is not None:
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
