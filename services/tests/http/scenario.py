"""What the steps of one scenario have in common: who asked for what, and what was said."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import redis.asyncio

from deploy.local import stack
from services.tests.http.client import Answer, HttpClient
from services.tests.saga.client import Saga
from services.tests.saga.waiting import eventually

QUOTED = re.compile(r'"([^"]+)"')


@dataclass
class Scenario:
    """One scenario: a term and students of its own, and the answers to what they asked."""

    saga: Saga
    http: HttpClient
    term: str = ""
    student: str = ""
    others: list[str] = field(default_factory=list)
    sections: tuple[str, ...] = ()
    answers: list[Answer] = field(default_factory=list)
    taken: list[UUID] = field(default_factory=list)
    outcome: Any = None
    key: str = ""

    async def set_up(self, seats: dict[str, int]) -> None:
        """Publish sections and students, and wait until the ingress shows them, too."""
        await self.until_well()
        self.term, (self.student, *self.others) = await self.saga.set_up(seats, students=10)

        async def look() -> bool:
            page = await self.http.ask(
                "GET", f"/sections?term={self.term}", token=self.http.staff()
            )
            return page.status == 200 and len(page.json["sections"]) == len(seats)

        await eventually("the sections in the view", look)

    async def take(self, section: str) -> None:
        """Let another student have a seat."""
        answer = await self.http.enroll(self.others[0], self.term, section)
        assert answer.status == 202, answer
        outcome = await self.http.outcome(self.others[0], answer.headers["Location"])
        assert outcome["status"] == "confirmed"
        self.taken.append(UUID(outcome["enrollment_id"]))

    async def ask(self, *sections: str, key: str | None = None) -> Answer:
        """Ask for seats as the student."""
        self.sections = sections
        answer = await self.http.enroll(self.student, self.term, *sections, key=key)
        self.answers.append(answer)
        return answer

    async def ask_and_wait(self, *sections: str) -> None:
        """Ask for seats as the student, and wait for the outcome."""
        answer = await self.ask(*sections)
        assert answer.status == 202, answer
        self.outcome = await self.http.outcome(self.student, answer.headers["Location"])

    async def ask_many(self, count: int, key: str | None) -> None:
        """Send the same request many times at once."""
        self.sections = ("A",)
        self.answers += await asyncio.gather(
            *(self.http.enroll(self.student, self.term, "A", key=key) for _ in range(count))
        )

    async def free(self) -> dict[str, int]:
        """Ask the ingress how many seats are free in each section."""
        page = await self.http.ask("GET", f"/sections?term={self.term}", token=self.http.staff())
        return {one["section_id"]: one["free"] for one in page.json["sections"]}

    async def until_free(self, wanted: dict[str, int]) -> None:
        """Wait until so many seats are free, in the view and in the table of capacity."""

        async def look() -> bool:
            shown = await self.free()
            return {name: shown[name] for name in wanted} == wanted

        await eventually(f"free: {wanted}", look)

    async def enrollments(self) -> list[dict[str, Any]]:
        """Read the student's rows in the table of enrollments."""
        sql = "SELECT * FROM enrollment WHERE student_id = $1 AND state <> 'unopened'"
        return await self.saga.rows("enrollment", sql, self.student)

    async def read(self) -> Answer:
        """Read something that needs the database."""
        path = f"/sections?term={self.term}"
        return await self.http.ask("GET", path, token=self.http.staff())

    async def until_well(self) -> None:
        """Wait until the ingress, too, has noticed that what was stopped is back."""
        await self.saga.ready_again()

        async def look() -> bool:
            return {one["state"] for one in (await self._breakers()).values()} == {"closed"}

        await eventually("all breakers closed", look, 60)

    async def until_state(
        self, breaker: str, state: str, act: Callable[[], Awaitable[object]]
    ) -> None:
        """Do something again and again until a breaker of the ingress is in a state."""

        async def look() -> bool:
            await act()
            return bool((await self._breakers())[f"http.{breaker}"]["state"] == state)

        await eventually(f"the breaker of {breaker} {state}", look, 60)

    async def _breakers(self) -> dict[str, Any]:
        url = stack.status(self.saga.state_dir).services["ingress"].admin_url
        async with aiohttp.request("GET", f"{url}/breakers") as answer:
            found: dict[str, Any] = await answer.json()
        return found

    async def flush_redis(self) -> None:
        """Have Redis forget everything."""
        url = stack.status(self.saga.state_dir).servers.redis.url
        assert url is not None
        async with redis.asyncio.from_url(url) as client:
            await client.flushall()


def named_sections(text: str) -> list[str]:
    """Read the names in quotes."""
    return QUOTED.findall(text)


def seats_in(text: str) -> dict[str, int]:
    """Read sections and their seats."""
    return {name: int(seats) for name, seats in re.findall(r'"([^"]+)" with (\d+)', text)}


def new_key() -> str:
    """Make an Idempotency-Key."""
    return str(uuid4())


def different(answers: Sequence[Answer]) -> set[tuple[int, str, str]]:
    """Give the answers that differ in status, body or Location."""
    return {(one.status, one.text, one.headers.get("Location", "")) for one in answers}
