"""A TCP proxy on a thread of its own, whose links can be cut, stalled, or lose their answers."""

import asyncio
import socket
import struct
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Final

from deploy.local.ports import LOOPBACK

CHUNK_BYTES: Final = 65_536
CLOSE_SECONDS: Final = 5.0
START_SECONDS: Final = 5.0
RESET: Final = struct.pack("ii", 1, 0)  # linger for no time: the other side sees a reset


class Trouble(StrEnum):
    """What can be wrong with a link."""

    CUT = "cut"  # connections are reset, and new ones too
    STALL = "stall"  # nothing comes through either way; it does when the trouble is over
    MUTE = "mute"  # the work is done and its answers are lost: held back, then reset


@dataclass(frozen=True)
class Route:
    """A link by name: who connects to `port` is led on to `server_port`, both on loopback."""

    name: str
    port: int
    server_port: int


@dataclass(eq=False)
class _Link:
    route: Route
    troubles: dict[int, Trouble] = field(default_factory=dict)
    to_server: asyncio.Event = field(default_factory=asyncio.Event)
    to_client: asyncio.Event = field(default_factory=asyncio.Event)
    writers: set[StreamWriter] = field(default_factory=set)

    @property
    def is_cut(self) -> bool:
        return Trouble.CUT in self.troubles.values()

    def apply(self) -> None:
        """Let through what the troubles leave."""
        present = set(self.troubles.values())
        _set(self.to_server, Trouble.STALL not in present)
        _set(self.to_client, not present & {Trouble.STALL, Trouble.MUTE})
        if self.is_cut:
            self.reset()

    def reset(self) -> None:
        for writer in self.writers:
            _reset(writer)


class Proxy:
    """Serves its routes until closed; its methods may be called from any thread."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._links = {route.name: _Link(route) for route in routes}
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(START_SECONDS)
        except BaseException:
            self.close()
            raise

    @property
    def links(self) -> list[str]:
        """Name the links."""
        return list(self._links)

    def inflict(self, link: str, token: int, trouble: Trouble) -> None:
        """Begin a trouble under a token of the caller's; a link may have several at a time."""
        self._loop.call_soon_threadsafe(self._inflict, self._links[link], token, trouble)

    def lift(self, link: str, token: int) -> None:
        """End the trouble of this token, if it has not ended yet."""
        self._loop.call_soon_threadsafe(self._lift, self._links[link], token)

    def close(self) -> None:
        """Reset every connection and stop listening."""
        if not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(CLOSE_SECONDS)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CLOSE_SECONDS)
            self._loop.close()

    async def _start(self) -> None:
        for link in self._links.values():
            link.apply()
            self._servers.append(await _listen(link))

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        for link in self._links.values():
            link.reset()
        ours = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in ours:
            task.cancel()
        await asyncio.gather(*ours, return_exceptions=True)

    @staticmethod
    def _inflict(link: _Link, token: int, trouble: Trouble) -> None:
        link.troubles[token] = trouble
        link.apply()

    @staticmethod
    def _lift(link: _Link, token: int) -> None:
        if link.troubles.pop(token, None) is Trouble.MUTE:
            link.reset()
        link.apply()


def _set(event: asyncio.Event, is_set: bool) -> None:
    if is_set:
        event.set()
    else:
        event.clear()


def _reset(writer: StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


async def _listen(link: _Link) -> asyncio.Server:
    return await asyncio.start_server(partial(_serve, link), LOOPBACK, link.route.port)


async def _serve(link: _Link, reader: StreamReader, writer: StreamWriter) -> None:
    """Lead one connection on, until either side has ended it."""
    if link.is_cut:
        _reset(writer)
        return
    try:
        server_reader, server_writer = await asyncio.open_connection(
            LOOPBACK, link.route.server_port
        )
    except OSError:  # the server is down: its client hears so at once
        _reset(writer)
        return
    both = {writer, server_writer}
    link.writers |= both
    pumps = [
        asyncio.create_task(_pump(reader, server_writer, link.to_server)),
        asyncio.create_task(_pump(server_reader, writer, link.to_client)),
    ]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        link.writers -= both
        for one in both:
            one.close()


async def _pump(reader: StreamReader, writer: StreamWriter, gate: asyncio.Event) -> None:
    """Carry bytes one way while the gate is open; what is held back waits in its place."""
    try:
        while chunk := await reader.read(CHUNK_BYTES):
            await gate.wait()
            writer.write(chunk)
            await writer.drain()
    except OSError:  # reset by either side: for the other, the end of its connection
        return
