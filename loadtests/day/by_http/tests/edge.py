"""A small HTTP server that answers as a test wants, for the client to meet."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

from aiohttp import web

from loadtests.day.by_http.asks import post
from loadtests.plain_http.client import Address

NAMES = UUID(int=7)


@dataclass
class Seen:
    """What the server was asked, and how many connections it had at most."""

    keys: list[str] = field(default_factory=list)
    connections: set[Any] = field(default_factory=set)
    at_once: int = 0
    most_at_once: int = 0


Respond = Callable[[web.Request, Seen], Awaitable[web.StreamResponse]]


def enrollment_of(key: str) -> str:
    """Name the enrollment that a key stands for."""
    return str(uuid5(NAMES, key))


def accepted(request: web.Request) -> web.Response:
    """Answer as the ingress does when it takes a request in."""
    enrollment_id = enrollment_of(request.headers["Idempotency-Key"])
    return web.json_response({"enrollment_id": enrollment_id}, status=202)


@asynccontextmanager
async def edge(respond: Respond) -> AsyncIterator[tuple[Address, Seen]]:
    """Serve for a block; gives where, and what is seen."""
    seen = Seen()

    async def enroll(request: web.Request) -> web.StreamResponse:
        seen.keys.append(request.headers["Idempotency-Key"])
        seen.connections.add(request.transport)
        seen.at_once += 1
        seen.most_at_once = max(seen.most_at_once, seen.at_once)
        try:
            return await respond(request, seen)
        finally:
            seen.at_once -= 1

    app = web.Application()
    app.router.add_post("/enrollments", enroll)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0], seen
    finally:
        await runner.cleanup()


def asks_of(count: int) -> list[bytes]:
    """Make requests whose keys are their numbers."""
    return [post("{}", "token", str(number)) for number in range(count)]
