"""The guide's table of what is answered while a server is away, row by row, on the real ones."""

import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from deploy.local import stack
from services.tests.http.client import Answer, HttpClient
from services.tests.http.scenario import Scenario, new_key
from services.tests.saga.client import Saga

GUIDE = Path(__file__).parents[2] / "enrollment" / "ingress" / "README.md"
SERVERS = {"PostgreSQL": "postgres", "Redis": "redis", "Kafka": "kafka"}
BREAKERS = {"PostgreSQL": "database", "Redis": "redis", "Kafka": "kafka"}
QUICK_SECONDS = 0.05
SLOW = {"view-behind"}  # waits a second for the view to catch up
TRIES = 3  # the machine may have something else to do just then


def table() -> dict[str, list[str]]:
    """Read the rows of the guide: what is asked, and what is answered while each is stopped."""
    text = GUIDE.read_text().partition("| request |")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {row[0]: [one.strip() for one in row[1:]] for row in rows}


Ask = Callable[[], Awaitable[Answer]]


class Asker:
    """Knows how to send each request of the table."""

    def __init__(self, story: Scenario, enrollment_id: str) -> None:
        self._story = story
        self._http = story.http
        self._student = story.http.student(story.student)
        self._staff = story.http.staff()
        self._id = enrollment_id

    def requests(self) -> Mapping[str, Ask]:
        """Give how to send each, by its name in the table."""
        own, staff, one = self._as_student, self._as_staff, f"/enrollments/{self._id}"
        section = f"/sections/{self._story.term}/A"
        return {
            "`POST /enrollments` with an Idempotency-Key": lambda: self._enroll(new_key()),
            "`POST /enrollments` without one": lambda: self._enroll(None),
            "`POST /enrollments:batch` (each item as above)": self._batch,
            "`DELETE /enrollments/{id}`": lambda: own("DELETE", one),
            "`GET /enrollments/{id}`": lambda: own("GET", one),
            "`GET /enrollments/{id}` of an unknown one": lambda: own(
                "GET", f"/enrollments/{uuid4()}"
            ),
            "`GET /enrollments`": lambda: own("GET", "/enrollments"),
            "`GET /enrollments/{id}/events`": lambda: own("GET", f"{one}/events"),
            "`GET /sections/{term}/{id}`": lambda: own("GET", section),
            "`GET /sections`": lambda: own("GET", f"/sections?term={self._story.term}"),
            "`GET /queue/stats/enhanced`": lambda: staff("GET", "/queue/stats/enhanced"),
            "`GET /queue/circuit-breakers`": lambda: staff("GET", "/queue/circuit-breakers"),
            "`POST /queue/circuit-breakers/{name}/reset`": self._reset,
            "`GET /queue/sagas`": lambda: staff("GET", "/queue/sagas"),
            "`GET /queue/idempotency`": lambda: staff("GET", "/queue/idempotency"),
            "`DELETE /queue/idempotency?all=true`": lambda: staff(
                "DELETE", "/queue/idempotency?all=true"
            ),
            "`GET /health/live`": lambda: self._http.ask("GET", "/health/live"),
            "`GET /health/ready`": lambda: self._http.ask("GET", "/health/ready"),
            "`GET /metrics`": lambda: self._http.ask("GET", "/metrics"),
        }

    async def _as_student(self, method: str, path: str) -> Answer:
        return await self._http.ask(method, path, token=self._student)

    async def _as_staff(self, method: str, path: str) -> Answer:
        return await self._http.ask(method, path, token=self._staff)

    async def _enroll(self, key: str | None) -> Answer:
        """Ask as a student who has not asked before: a repeat would get its remembered answer."""
        return await self._http.enroll(self._story.others[1], self._story.term, "A", key=key)

    async def _reset(self) -> Answer:
        """Reset a breaker that is closed: the one that is open must stay so for the others."""
        return await self._as_staff("POST", "/queue/circuit-breakers/redis/reset")

    async def _batch(self) -> Answer:
        item: dict[str, Any] = {"student_id": self._story.others[0], "term": self._story.term}
        items = [{**item, "sections": ["A"], "idempotency_key": new_key()}]
        return await self._http.ask(
            "POST", "/enrollments:batch", token=self._staff, body={"requests": items}
        )


@pytest.fixture
async def story(saga: Saga, http: HttpClient) -> Scenario:
    """A section, and a student who has a seat in it."""
    made = Scenario(saga, http)
    await made.set_up({"A": 100})
    await made.ask_and_wait("A")
    assert made.outcome["status"] == "confirmed"
    return made


def test_the_guide_has_a_row_for_each_path_of_the_document(http_paths: set[str]) -> None:
    named = {re.split(r"[ ?]", row.split("`")[1])[1] for row in table()}
    plain = {re.sub(r"\{[^}]*\}", "{}", path) for path in named}
    same = {"/queue/sagas/{}", "/queue/tasks/{}", "/queue/idempotency/{}", "/problems/{}"}

    assert plain | same == {re.sub(r"\{[^}]*\}", "{}", path) for path in http_paths}


@pytest.fixture
async def http_paths(http: HttpClient) -> set[str]:
    """The paths of the OpenAPI document."""
    return set((await http.ask("GET", "/openapi.json")).json["paths"])


@pytest.mark.parametrize("number", range(len(SERVERS)), ids=SERVERS)
async def test_each_request_is_answered_as_the_guide_says_while_a_server_is_stopped(
    story: Scenario, number: int
) -> None:
    name = list(SERVERS)[number]
    asker = Asker(story, story.outcome["enrollment_id"])
    requests = asker.requests()
    await _stop(story, name, requests)
    try:
        found = {row: await _said(ask) for row, ask in requests.items()}
    finally:
        stack.start_one(story.saga.state_dir, SERVERS[name])
        await story.until_well()

    assert found == {row: cells[number] for row, cells in table().items()}


async def _stop(story: Scenario, name: str, requests: Mapping[str, Ask]) -> None:
    """Stop a server, and ask what needs it until its breaker is open."""
    asks = {
        "PostgreSQL": requests["`GET /sections`"],
        "Redis": requests["`POST /enrollments` with an Idempotency-Key"],
        "Kafka": requests["`POST /enrollments` with an Idempotency-Key"],
    }
    stack.stop_one(story.saga.state_dir, SERVERS[name])
    await story.until_state(BREAKERS[name], "open", asks[name])


async def _said(ask: Ask) -> str:
    """Ask, and say it as the table does; what is refused must be refused quickly."""
    for _ in range(TRIES):
        answer = await ask()
        said = _in_short(answer)
        if answer.status < 500 or said.partition(" ")[2] in SLOW or answer.seconds < QUICK_SECONDS:
            break
    else:
        said = f"{said}, but after {answer.seconds:.3f} s"
    if answer.status in {429, 503}:
        assert int(answer.headers["Retry-After"]) >= 1
    return said


def _in_short(answer: Answer) -> str:
    if answer.status < 400:
        return str(answer.status)
    return f"{answer.status} {answer.problem}"
