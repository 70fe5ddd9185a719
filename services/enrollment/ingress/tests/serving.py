"""The HTTP server on an event loop of its own, as in production, and plain sockets to it."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvloop
from fastapi import FastAPI, Request, Response

from services.enrollment.ingress.connections import Overload, never_overloaded
from services.enrollment.ingress.http_server import HttpServer, connection_limits, guarded
from services.enrollment.ingress.limits import step_aside
from services.enrollment.ingress.problems import Problem
from services.enrollment.ingress.settings import IngressSettings

ANSWER_SECONDS = 10.0


def settings(**values: Any) -> IngressSettings:
    return IngressSettings(
        database_url="", kafka_bootstrap_servers="", insecure_dev=True, http_port=0, **values
    )


@dataclass
class Running:
    """A server that runs, and the threads' way to it."""

    server: HttpServer
    loop: asyncio.AbstractEventLoop
    stopping: asyncio.Event
    gate: asyncio.Event  # what requests to /gate wait for

    @property
    def port(self) -> int:
        return self.server.port

    def open_gate(self) -> None:
        self.loop.call_soon_threadsafe(self.gate.set)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.stopping.set)


def example_app(gate: asyncio.Event) -> FastAPI:
    """An application that answers at once, after reading, or when it is let."""
    app = FastAPI()

    @app.exception_handler(Problem)
    async def on_problem(_request: Request, problem: Exception) -> Response:
        assert isinstance(problem, Problem)
        return problem.response()

    @app.get("/fine")
    @app.post("/unread")
    @app.get("/health/live")
    async def fine() -> Response:
        return Response("fine")

    @app.post("/echo")
    @app.post("/enrollments:batch")
    async def echo(request: Request) -> Response:
        return Response(await request.body())

    @app.get("/gate")
    async def wait(request: Request, aside: bool = False) -> Response:
        if aside:
            step_aside(request.scope)
        await gate.wait()
        return Response("through the gate")

    @app.get("/large")
    async def large() -> Response:
        return Response(b"x" * 50_000_000)

    return app


@contextmanager
def running(
    stop_seconds: int = 5, overload: Overload = never_overloaded, **values: Any
) -> Iterator[Running]:
    """Run the server until the end of the block."""
    started = threading.Event()
    found: list[Running] = []

    async def serve() -> None:
        chosen, gate = settings(**values), asyncio.Event()
        app = guarded(example_app(gate), chosen)
        server = HttpServer(
            app,
            chosen.http_host,
            0,
            connection_limits(chosen),
            overload=overload,
            stop_seconds=stop_seconds,
        )
        await server.start()
        running = Running(server, asyncio.get_running_loop(), asyncio.Event(), gate)
        found.append(running)
        started.set()
        await running.stopping.wait()
        await server.stop()

    thread = threading.Thread(target=lambda: uvloop.run(serve()), name="server")
    thread.start()
    assert started.wait(ANSWER_SECONDS)
    try:
        yield found[0]
    finally:
        found[0].stop() if thread.is_alive() else None
        thread.join(20)
        assert not thread.is_alive()


@dataclass
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def problem(self) -> str:
        """The slug of the problem that was answered."""
        assert self.headers["content-type"] == "application/problem+json"
        said = json.loads(self.body)
        assert said["status"] == self.status
        assert said["correlation_id"] == self.headers["x-correlation-id"]
        return str(said["type"]).removeprefix("/problems/")


@dataclass
class Socket:
    """A client that sends what the test wants."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def answer(self) -> Answer:
        """Read one answer, by its length."""
        async with asyncio.timeout(ANSWER_SECONDS):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        names = [line.split(": ", 1) for line in head[1:] if line]
        return Answer(int(head[0].split()[1]), {k.lower(): v for k, v in names}, body)

    async def rest(self) -> bytes:
        """Read until the server closes."""
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self.reader.read()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Socket]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Socket(reader, writer)
    finally:
        writer.transport.abort()


async def exchange(port: int, *pieces: bytes) -> Answer:
    """Send, and read the one answer."""
    async with connected(port) as socket:
        await socket.send(*pieces)
        return await socket.answer()


def get(path: str = "/fine", *headers: str) -> bytes:
    return request("GET", path, *headers)


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: test", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
