"""Whatever is sent, the running ingress answers as its OpenAPI document says, and never with 5xx.

The cases are always the same, so many for each operation and caller that it takes a minute; with
OPENAPI_CASES=2000 (`make fuzz`) there are as many more, and others each time.
"""

import json
import logging
import os
from asyncio import Runner
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance

from schemas.publishing import HERE
from services.tests.http.client import HttpClient, http_client
from services.tests.http.scenario import Scenario, new_key
from services.tests.saga.client import Saga
from services.tests.saga.waiting import eventually

LOGGER = logging.getLogger(__name__)
CASES = int(os.environ.get("OPENAPI_CASES", "0"))
CASES_BY_DEFAULT = 40
CASES_IN_ALL = 2000  # at least, of all operations and callers
ANSWER_SECONDS = 20
CALLERS = ("student", "staff")
DOCUMENT: dict[str, Any] = json.loads((HERE / "openapi.json").read_text(encoding="utf-8"))
OPERATIONS = {
    f"{method.upper()} {path}" for path, methods in DOCUMENT["paths"].items() for method in methods
}
# What these refuse depends on who asks and on what was before, which no schema can say.
WITH_RULES = {
    "POST /enrollments",
    "GET /enrollments",
    "DELETE /enrollments/{enrollment_id}",
    "GET /queue/sagas",
    "DELETE /queue/idempotency",
}
OF_HTTP = {"date", "content-length", "content-type", "connection", "transfer-encoding"}
OF_WRONG_METHODS = {"allow", "cache-control", "x-correlation-id"}  # any path answers those alike
Case = schemathesis.Case[Any]
KNOWN: list[str] = []  # enrollments that there are
TRIED: Counter[tuple[str, str, int]] = Counter()


def an_id(number: int) -> str:
    """Name an enrollment: that of a student who asks, or one that nobody has heard of."""
    return KNOWN[number % len(KNOWN)] if KNOWN and number % 2 else str(UUID(int=number))


schemathesis.openapi.format("uuid", st.builds(an_id, st.integers(0, 2**128 - 1)))
schema = schemathesis.openapi.from_dict(DOCUMENT)
schema.config.generation.update(with_security_parameters=False)  # each caller has a token


@dataclass
class Door:
    """The ingress as two callers find it, with a section and some enrollments behind it."""

    url: str
    tokens: Mapping[str, str]
    term: str
    ids: list[str]
    session: requests.Session = field(default_factory=requests.Session)

    def call(self, case: Case, caller: str, **headers: str) -> Any:
        """Send a case, and check the answer against the document."""
        label = case.operation.label
        answer = case.call_and_validate(
            base_url=self.url,
            session=self.session,
            headers={"Authorization": f"Bearer {self.tokens[caller]}", **headers},
            timeout=ANSWER_SECONDS,
            additional_checks=[only_documented_headers],
            excluded_checks=[positive_data_acceptance] if label in WITH_RULES else [],
        )
        TRIED[label, caller, answer.status_code] += 1
        return answer

    def ask(self, method: str, path: str, caller: str, **parts: Any) -> Any:
        """Send one request that is as it should be."""
        headers = parts.pop("headers", {})
        return self.call(schema[path][method].Case(**parts), caller, **headers)


def only_documented_headers(
    _context: schemathesis.CheckContext, answer: schemathesis.Response, case: Case
) -> None:
    """Refuse a header of which the document does not tell."""
    told = case.operation.definition.raw["responses"].get(str(answer.status_code), {})
    known = OF_HTTP | {name.lower() for name in told.get("headers", {})}
    if answer.status_code == requests.codes.not_allowed:
        known |= OF_WRONG_METHODS
    assert {name.lower() for name in answer.headers} <= known, answer.headers


@pytest.fixture(scope="module")
def door(saga: Saga, runner: Runner) -> Iterator[Door]:
    """The ingress, with all of its breakers closed."""
    left = AsyncExitStack()
    client = runner.run(left.enter_async_context(http_client(saga.state_dir)))
    made = runner.run(_furnished(saga, client))
    KNOWN.extend(made.ids)
    with made.session:
        yield made
    runner.run(left.aclose())


async def _furnished(saga: Saga, http: HttpClient) -> Door:
    story = Scenario(saga, http)
    await story.set_up({"A": 5, "B": 5})

    async def healthy() -> bool:
        answer = await http.ask("GET", "/queue/circuit-breakers", token=http.staff())
        return answer.status == 200 and answer.json["overall_health"] == "healthy"

    await eventually("all breakers closed", healthy)
    for sections in (["A"], ["B"], ["A", "none"]):
        await story.ask_and_wait(*sections)
    ids = [str(row["enrollment_id"]) for row in await story.enrollments()]
    tokens = {"student": http.student(story.student), "staff": http.staff()}
    return Door(http.url, tokens, story.term, ids)


@pytest.mark.timeout(120 if CASES == 0 else 24 * 3600)
@pytest.mark.parametrize("caller", CALLERS)
@schema.parametrize()
@settings(
    max_examples=CASES or CASES_BY_DEFAULT,
    deadline=None,
    derandomize=CASES == 0,
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_sent_is_answered_as_documented(case: Case, caller: str, door: Door) -> None:
    door.call(case, caller)


def test_what_students_do_is_answered_as_documented(door: Door) -> None:
    body = {"term": door.term, "sections": ["B", "A"]}
    key = {"Idempotency-Key": new_key()}
    statuses = []

    def ask(method: str, path: str, **parts: Any) -> Any:
        answer = door.ask(method, path, "student", **parts)
        statuses.append(answer.status_code)
        return answer

    first = ask("POST", "/enrollments", body=body, headers=key)
    own = {"enrollment_id": first.json()["enrollment_id"]}
    ask("POST", "/enrollments", body=body, headers=key)
    ask("POST", "/enrollments", body=body, headers={**key, "Prefer": "wait=10"})
    ask("POST", "/enrollments", body={**body, "deadline_seconds": 20}, headers=key)
    found = ask("GET", "/enrollments/{enrollment_id}", path_parameters=own)
    tag = {"If-None-Match": found.headers["etag"][0]}
    ask("GET", "/enrollments/{enrollment_id}", path_parameters=own, headers=tag)
    ask("GET", "/enrollments/{enrollment_id}/events", path_parameters=own)
    ask("GET", "/enrollments", query={"limit": 1})
    section = {"term": door.term, "section_id": "A"}
    seats = ask("GET", "/sections/{term}/{section_id}", path_parameters=section)
    tag = {"If-None-Match": seats.headers["etag"][0]}
    ask("GET", "/sections/{term}/{section_id}", path_parameters=section, headers=tag)
    ask("GET", "/sections", query={"term": door.term, "limit": 1})
    ask("GET", "/problems/{slug}", path_parameters={"slug": "not-found"})
    wait = {"Prefer": "wait=10"}
    ask("DELETE", "/enrollments/{enrollment_id}", path_parameters=own, headers=wait)

    assert statuses == [202, 202, 200, 422, 200, 304, 200, 200, 200, 304, 200, 200, 200]


def test_what_staff_does_is_answered_as_documented(door: Door) -> None:
    one = {"student_id": "S1", "term": door.term, "sections": ["A"]}
    statuses = []

    def ask(method: str, path: str, **parts: Any) -> Any:
        answer = door.ask(method, path, "staff", **parts)
        statuses.append(answer.status_code)
        return answer

    ask("POST", "/enrollments:batch", body={"requests": [one, {**one, "student_id": "S2"}]})
    ask("POST", "/enrollments", body=one, headers={"Prefer": "wait=10"})
    ask("GET", "/queue/stats/enhanced")
    ask("GET", "/queue/sagas", query={"limit": 1})
    ask("GET", "/queue/sagas/{saga_id}", path_parameters={"saga_id": door.ids[0]})
    ask("GET", "/queue/tasks/{task_id}", path_parameters={"task_id": door.ids[0]})
    ask("DELETE", "/queue/idempotency", query={"all": "true"})

    assert statuses == [200] * len(statuses)


def test_every_operation_was_tried_by_both_and_done_by_one() -> None:
    LOGGER.info("%d cases", TRIED.total())
    tried = {(label, caller) for label, caller, _ in TRIED}
    done = {label for label, _, status in TRIED if status < 300}

    assert tried == {(label, caller) for label in OPERATIONS for caller in CALLERS}
    assert done == OPERATIONS
    assert max(status for _, _, status in TRIED) < 500
    assert TRIED.total() >= CASES_IN_ALL, "run all tests of this file"
