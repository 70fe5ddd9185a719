"""A client of the ingress of a running stack: asks with real tokens, waits, looks at answers."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from deploy.local import keys, stack
from deploy.local.tokens import Issuer, issuer_with

DECIDED = ("confirmed", "rejected", "cancelled")
OUTCOME_SECONDS = 20.0
ANSWER_SECONDS = 40.0
TOKEN_SECONDS = 3600


@dataclass(frozen=True)
class Answer:
    """What the ingress said, and after how long."""

    status: int
    headers: Mapping[str, str]
    text: str
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def problem(self) -> str:
        """Name the kind of problem."""
        kind: str = self.json["type"]
        return kind.removeprefix("/problems/")


class HttpClient:
    """Speaks with one ingress, in the name of whoever is asked for."""

    def __init__(self, url: str, issuer: Issuer, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._issuer = issuer
        self._session = session

    def student(self, student_id: str) -> str:
        """Give a token of a student."""
        return self._issuer.student(
            student_id, client="tests", now=datetime.now(UTC), lifetime_seconds=TOKEN_SECONDS
        )

    def staff(self, name: str = "registrar") -> str:
        """Give a token of staff."""
        return self._issuer.staff(
            name, client="tests", now=datetime.now(UTC), lifetime_seconds=TOKEN_SECONDS
        )

    async def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request; `body` is sent as JSON."""
        bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
        began = time.monotonic()
        async with self._session.request(
            method, self.url + path, json=body, headers={**bearer, **(headers or {})}
        ) as answer:
            text = await answer.text()
        return Answer(answer.status, answer.headers, text, time.monotonic() - began)

    async def enroll(
        self, student: str, term: str, *sections: str, key: str | None = None, **headers: str
    ) -> Answer:
        """Ask for seats as a student."""
        named = {} if key is None else {"Idempotency-Key": key}
        return await self.ask(
            "POST",
            "/enrollments",
            token=self.student(student),
            body={"term": term, "sections": list(sections)},
            headers={**named, **headers},
        )

    async def outcome(self, student: str, location: str) -> Any:
        """Wait until an enrollment is decided, as its student, and give what is shown of it."""
        until = time.monotonic() + OUTCOME_SECONDS
        while True:
            answer = await self.ask("GET", location, token=self.student(student))
            if answer.status == 200 and answer.json["status"] in DECIDED:
                return answer.json
            assert time.monotonic() < until, f"{location} is not decided: {answer}"
            await asyncio.sleep(0.05)


@asynccontextmanager
async def http_client(state_dir: Path, name: str = "ingress") -> AsyncIterator[HttpClient]:
    """Connect to an ingress of a running stack."""
    url = stack.status(state_dir).services[name].url
    assert url is not None
    limit = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=limit, connector=connector) as session:
        yield HttpClient(url, issuer_with(keys.private_key_file(state_dir)), session)
