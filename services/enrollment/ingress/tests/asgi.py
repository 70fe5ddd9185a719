"""Calls an ASGI application as a server would, and sees what it answers."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass
class Answered:
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_whole: bool = False

    @property
    def problem(self) -> str:
        """The slug of the problem that was answered."""
        assert self.headers["content-type"] == "application/problem+json"
        return str(json.loads(self.body)["type"]).removeprefix("/problems/")


async def ask(
    app: ASGIApp,
    path: str = "/",
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: Sequence[bytes] = (b"",),
    is_cut: bool = False,
) -> Answered:
    """Ask; the body comes in pieces, and where it is cut the client goes after the last one."""
    answered = Answered()
    pieces = [
        {"type": "http.request", "body": piece, "more_body": is_cut or number < len(body) - 1}
        for number, piece in enumerate(body)
    ]

    async def receive() -> Message:
        await asyncio.sleep(0)
        return pieces.pop(0) if pieces else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answered.status = message["status"]
            raw: Any = message.get("headers", [])
            answered.headers = {name.decode(): value.decode() for name, value in raw}
        else:
            answered.body += message.get("body", b"")
            answered.is_whole = not message.get("more_body", False)

    raw_headers = [(k.lower().encode(), v.encode("latin-1")) for k, v in (headers or {}).items()]
    await app(
        {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": raw_headers,
            "state": {},
        },
        receive,
        send,
    )
    return answered


def answering(status: int = 200, body: bytes = b"fine") -> ASGIApp:
    """An application that reads nothing and answers always the same."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return app
