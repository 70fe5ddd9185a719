"""A small HTTP server that answers each request as a test wants, on an event loop of the test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

HEAD_END = b"\r\n\r\n"

Respond = Callable[[bytes], bytes | None]  # None: hang up


@dataclass
class Served:
    """Where it listens, and what it was asked."""

    address: tuple[str, int]
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    delay_seconds: float = 0.0


def answer(status: int, body: bytes = b"{}", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def serving(respond: Respond) -> AsyncIterator[Served]:
    """Serve for a block."""
    served = Served(("", 0))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.connections += 1
        try:
            while head := await reader.readuntil(HEAD_END):
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0])
                request = head + await reader.readexactly(length)
                served.requests.append(request)
                await asyncio.sleep(served.delay_seconds)
                said = respond(request)
                if said is None:
                    break
                writer.write(said)
        except asyncio.IncompleteReadError:
            pass  # the client has gone
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    served.address = server.sockets[0].getsockname()
    async with server:
        yield served
