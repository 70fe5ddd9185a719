"""A kept connection to an HTTP server: one request at a time, and answers with a length."""

import asyncio
import re
from typing import Final, Protocol, cast

HEAD_END: Final = b"\r\n\r\n"
LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CLOSING: Final = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class Owner(Protocol):
    """Who is told what comes of a connection."""

    def answered(
        self, by: "PlainConnection", number: int, status: int, head: bytes, body: bytes
    ) -> None:
        """Take an answer; unless its head says that it closes, the connection can be used again."""

    def lost(self, connection: "PlainConnection", number: int | None) -> None:
        """Hear that a connection has ended, and which request it was at."""


class PlainConnection(asyncio.Protocol):
    """One request at a time, by its number."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._received = b""
        self._number: int | None = None
        self._transport: asyncio.Transport | None = None
        self._is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, number: int, request: bytes) -> None:
        """Send a request; the answer to the one before has come.

        Where the connection has ended meanwhile, its owner hears of that before this returns.
        """
        assert self._transport is not None
        assert self._number is None
        if self._is_lost:
            self._owner.lost(self, number)
            return
        self._number = number
        self._transport.write(request)

    def abort(self) -> None:
        """End at once."""
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
        self._is_lost = True
        number, self._number = self._number, None
        self._owner.lost(self, number)


def is_closing(head: bytes) -> bool:
    """Tell whether the server closes the connection after this answer."""
    return CLOSING.search(head) is not None
