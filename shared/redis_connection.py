"""One connection to Redis for all who call: what waits is sent at once, answers come in order."""

import asyncio
from collections import deque
from typing import Any, Final

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import RedisError, ResponseError

from shared.errors import CacheUnavailableError

WAITING_MAX: Final = 10_000
AT_ONCE_MAX: Final = 500

Argument = str | bytes | int | float


class _Call:
    """A command and what becomes of it."""

    __slots__ = ("command", "reply")

    def __init__(self, command: bytes) -> None:
        self.command = command
        self.reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def settle(self, reply: object) -> None:
        if not self.reply.done():  # its caller may have gone
            self.reply.set_result(reply)


class RedisConnection:
    """Connects when first used, and again after a failure; for one event loop.

    redis-py connects, authenticates and reads answers. Its client and pool are not used:
    they cost several times as much for each call, and a connection whose caller was cancelled
    twice is lost to the pool. Here nobody but the one task that sends reads answers. It reads
    each of them, also those for callers who have gone, or drops the connection: so no answer
    can reach another's caller. The task ends when nobody waits any more.
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        # Time-outs are ours alone: redis-py's own would make a task for each send.
        pool = ConnectionPool.from_url(
            url, protocol=2, driver_info=None, socket_timeout=None, socket_connect_timeout=None
        )
        connection = pool.make_connection()  # type: ignore[no-untyped-call]
        self._connection: AbstractConnection = connection
        self._timeout_seconds = timeout_seconds
        self._waiting: deque[_Call] = deque()
        self._sender: asyncio.Task[None] | None = None

    async def call(self, *arguments: Argument) -> Any:
        """Run one command and give its answer; ResponseError is what Redis itself refused."""
        if len(self._waiting) >= WAITING_MAX:
            raise CacheUnavailableError("too many wait for Redis")
        call = _Call(pack_command(arguments))  # type: ignore[arg-type]  # it says: of length 1
        self._waiting.append(call)
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_waiting())
        reply = await call.reply
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def close(self) -> None:
        """Drop the connection; those who wait get CacheUnavailableError."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.wait([self._sender])
        await self._give_up(list(self._waiting), "closed")
        self._waiting.clear()

    async def _send_waiting(self) -> None:
        try:
            while self._waiting:
                await self._exchange(self._next_calls())
        finally:
            self._sender = None

    def _next_calls(self) -> list[_Call]:
        number = min(len(self._waiting), AT_ONCE_MAX)
        calls = [self._waiting.popleft() for _ in range(number)]
        return [call for call in calls if not call.reply.done()]

    async def _exchange(self, calls: list[_Call]) -> None:
        if not calls:
            return
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._connect()
                await self._connection.send_packed_command(b"".join(one.command for one in calls))
                for call in calls:
                    call.settle(await self._read())
        except (RedisError, OSError) as error:
            await self._give_up(calls, f"{type(error).__name__} {error}")
        except asyncio.CancelledError:
            await self._give_up(calls, "closed")
            raise

    async def _connect(self) -> None:
        if self._connection.is_connected and await self._connection.can_read():
            # Redis has hung up since, or says what nobody asked.
            await self._connection.disconnect(nowait=True)
        await self._connection.connect()  # type: ignore[no-untyped-call]

    async def _read(self) -> Any:
        try:
            return await self._connection.read_response()
        except ResponseError as error:  # of this command alone
            return error

    async def _give_up(self, calls: list[_Call], reason: str) -> None:
        await self._connection.disconnect(nowait=True)
        for call in calls:
            call.settle(CacheUnavailableError(f"Redis: {reason}"))
