"""Asks over at most so many connections, which are kept and used again."""

import asyncio
from collections import defaultdict
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from loadtests.plain_http.connection import PlainConnection, is_closing

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 30.0

Address = tuple[str, int]


def address_of(url: str) -> Address:
    """Read where a server listens; ValueError where it would speak anything but plain HTTP."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        raise ValueError(f"{url}: only http://host:port can be asked")
    return parts.hostname, parts.port or 80


class PlainAnswer(NamedTuple):
    """A status, the head with all its lines, and the body."""

    status: int
    head: bytes
    body: bytes


class PlainClient:
    """For one event loop; who asks while all connections are at work waits for one."""

    def __init__(self, connections: int) -> None:
        self._places = asyncio.Semaphore(connections)
        self._idle: defaultdict[Address, list[PlainConnection]] = defaultdict(list)
        self._open: dict[PlainConnection, Address] = {}
        self._asked: dict[int, asyncio.Future[PlainAnswer]] = {}
        self._number = 0

    async def ask(self, address: Address, request: bytes) -> PlainAnswer:
        """Send a request and give its answer; raises OSError where the connection fails.

        TimeoutError, which is one, says that no answer has come within ANSWER_SECONDS.
        """
        async with self._places:
            connection = await self._connection(address)
            answer: asyncio.Future[PlainAnswer] = asyncio.get_running_loop().create_future()
            self._number += 1
            number = self._number
            self._asked[number] = answer
            connection.send(number, request)
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    return await answer
            except BaseException:
                connection.abort()
                raise
            finally:
                del self._asked[number]

    async def _connection(self, address: Address) -> PlainConnection:
        if self._idle[address]:
            return self._idle[address].pop()
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            _, made = await loop.create_connection(lambda: PlainConnection(self), *address)
        self._open[made] = address
        return made

    def answered(
        self, by: PlainConnection, number: int, status: int, head: bytes, body: bytes
    ) -> None:
        """Give an answer to who waits for it, and keep the connection."""
        answer = self._asked.get(number)
        if answer is not None and not answer.done():
            answer.set_result(PlainAnswer(status, head, body))
        if not is_closing(head):
            self._idle[self._open[by]].append(by)

    def lost(self, connection: PlainConnection, number: int | None) -> None:
        """Forget a connection, and tell who waits."""
        address = self._open.pop(connection, None)  # None: it ended before it was ever used
        if address is not None and connection in self._idle[address]:
            self._idle[address].remove(connection)
        answer = None if number is None else self._asked.get(number)
        if answer is not None and not answer.done():
            answer.set_exception(ConnectionResetError("the server has hung up"))

    async def close(self) -> None:
        """End all connections."""
        for connection in self._open:
            connection.abort()
        while self._open:
            await asyncio.sleep(0)
