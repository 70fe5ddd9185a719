"""The scenarios of the features, step by step, on real servers and processes."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import pytest
from pytest_bdd import given, parsers, scenarios, then, when

from deploy.local import stack
from services.tests.http.client import Answer
from services.tests.http.scenario import (
    Scenario,
    different,
    named_sections,
    new_key,
    seats_in,
)
from services.tests.saga.waiting import eventually

scenarios("features")

QUICK_SECONDS = 0.05
TRIES = 5
COUNTS = """
SELECT (SELECT count(*) FROM {table} WHERE student_id = $1) AS rows
"""

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def run(runner: asyncio.Runner) -> Run:
    """Run a coroutine to its end."""
    return runner.run


# Given


@given(parsers.re(r"sections (?P<text>.+)"))
@given(parsers.re(r"a section (?P<text>.+)"))
def sections(story: Scenario, run: Run, text: str) -> None:
    run(story.set_up(seats_in(text)))


@given('the seat of "FULL" is taken')
def taken(story: Scenario, run: Run) -> None:
    run(story.take("FULL"))


@given(parsers.re(r"a student has asked for (?P<text>.+) in vain"))
def in_vain(story: Scenario, run: Run, text: str) -> None:
    run(story.ask_and_wait(*named_sections(text)))
    assert story.outcome["status"] == "rejected"


@given(parsers.re(r'a student has (?P<text>".+)'))
def has(story: Scenario, run: Run, text: str) -> None:
    run(story.ask_and_wait(*named_sections(text)))
    assert story.outcome["status"] == "confirmed"


@given(parsers.re(r"(?P<server>PostgreSQL|Redis|Kafka) is stopped"))
def stopped(story: Scenario, request: pytest.FixtureRequest, server: str) -> None:
    name = SERVERS[server]
    request.addfinalizer(lambda: stack.start_one(story.saga.state_dir, name))
    stack.stop_one(story.saga.state_dir, name)


SERVERS = {"PostgreSQL": "postgres", "Redis": "redis", "Kafka": "kafka"}


# When


@when(parsers.re(r"a student asks for (?P<text>.+)"))
def asks(story: Scenario, run: Run, text: str) -> None:
    run(story.ask_and_wait(*named_sections(text)))


@when('the seat of "FULL" is given up')
def given_up(story: Scenario, run: Run) -> None:
    token = story.http.student(story.others[0])
    run(story.http.ask("DELETE", f"/enrollments/{story.taken[0]}", token=token))
    run(story.until_free({"FULL": 1}))


@when("Redis forgets everything")
def forgets(story: Scenario, run: Run) -> None:
    run(story.flush_redis())


@when("she sends the very same request without a key")
def again(story: Scenario, run: Run) -> None:
    run(story.ask_and_wait(*story.sections))


@when("she gives them up")
def gives_up(story: Scenario, run: Run) -> None:
    location = f"/enrollments/{story.outcome['enrollment_id']}"
    token = story.http.student(story.student)
    answer = run(story.http.ask("DELETE", location, token=token, headers={"Prefer": "wait=10"}))
    assert answer.status == 200, answer
    assert answer.json["status"] == "cancelled"


@when(parsers.re(r"a student sends the same request (?P<count>\d+) times at once (?P<how>.+)"))
def sends_many(story: Scenario, run: Run, count: str, how: str) -> None:
    run(story.ask_many(int(count), new_key() if how.startswith("with one") else None))


@when(
    parsers.re(
        r"a student sends the same request (?P<count>\d+) times with one Idempotency-Key "
        "while Redis is flushed"
    )
)
def sends_while_flushed(story: Scenario, run: Run, count: str) -> None:
    async def both() -> None:
        key = new_key()
        for _ in range(4):
            await asyncio.gather(story.ask_many(int(count) // 4, key), story.flush_redis())

    run(both())


@when("a student sends a request with an Idempotency-Key")
def sends_with_key(story: Scenario, run: Run) -> None:
    story.key = new_key()
    run(story.ask("A", key=story.key))


@when("she sends another request with the same Idempotency-Key")
def sends_other_with_key(story: Scenario, run: Run) -> None:
    run(story.ask("A", "B", key=story.key))


@when("reads have failed until the breaker of the database opens")
def reads_fail(story: Scenario, run: Run) -> None:
    run(story.until_state("database", "open", story.read))


@when("requests have failed until the breaker of Kafka opens")
def requests_fail(story: Scenario, run: Run) -> None:
    story.key = new_key()
    run(story.until_state("kafka", "open", lambda: story.ask("A", key=story.key)))


# Then


@then("her enrollment is confirmed")
def confirmed(story: Scenario) -> None:
    assert story.outcome["status"] == "confirmed", story.outcome


@then(parsers.re(r'her enrollment is rejected, since "(?P<name>.+)" is full'))
def rejected(story: Scenario, name: str) -> None:
    assert story.outcome["status"] == "rejected"
    assert story.outcome["stage"] == "capacity"
    [reason] = story.outcome["reasons"]
    assert (reason["code"], reason["section_id"]) == ("section_full", name)


@then(parsers.re(r"(?P<text>.+) have all of their seats again"))
def all_seats(story: Scenario, run: Run, text: str) -> None:
    run(story.until_free(dict.fromkeys(named_sections(text), 5)))
    reserved = run(story.saga.reserved(story.term))
    assert [reserved[name] for name in named_sections(text)] == [0, 0]


@then("she holds nothing, so that the same time and credits are hers to use")
def holds_nothing(story: Scenario, run: Run) -> None:
    async def nothing_held() -> bool:
        sql = "SELECT state FROM claim WHERE student_id = $1"
        rows = await story.saga.rows("student", sql, story.student)
        return [row["state"] for row in rows] == ["released"]

    run(eventually("the claim is given back", nothing_held))
    run(story.ask_and_wait("A", "B"))
    assert story.outcome["status"] == "confirmed"


@then("nothing inconsistent is left anywhere")
def consistent(story: Scenario, run: Run) -> None:
    run(story.saga.rest())
    run(story.saga.assert_sound())


@then(parsers.re(r"one seat each of (?P<text>.+) is taken"))
def one_each(story: Scenario, run: Run, text: str) -> None:
    async def look() -> bool:
        reserved = await story.saga.reserved(story.term)
        return all(reserved[name] == 1 for name in named_sections(text))

    run(eventually("one seat each is taken", look))


@then("all answers are the same")
def all_the_same(story: Scenario) -> None:
    assert len(different(story.answers)) == 1, different(story.answers)
    assert story.answers[0].status == 202


@then("one enrollment and one seat came of it")
def one_of_each(story: Scenario, run: Run) -> None:
    location = story.answers[0].headers["Location"]
    outcome = run(story.http.outcome(story.student, location))
    assert outcome["status"] == "confirmed"
    assert len(run(story.enrollments())) == 1
    assert run(story.saga.reserved(story.term)) == {"A": 1}


@then("no database holds anything twice")
def nothing_twice(story: Scenario, run: Run) -> None:
    for service, table in TABLES.items():
        [found] = run(story.saga.rows(service, COUNTS.format(table=table), story.student))
        assert found["rows"] == 1, service


TABLES = {"enrollment": "enrollment", "student": "claim", "capacity": "reservation"}


@then("the other one is refused, since its key was used")
def key_used(story: Scenario) -> None:
    assert [one.status for one in story.answers] == [202, 422]
    assert story.answers[1].problem == "key-reused"


async def soon(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask until an answer is quick: what waits for a server that is away is slow each time."""
    for _ in range(TRIES):
        answer = await ask()
        if answer.seconds < QUICK_SECONDS:
            break
    return answer


@then("what needs the database is refused in less than 50 ms with Retry-After")
def reads_refused(story: Scenario, run: Run) -> None:
    for path in (f"/sections?term={story.term}", "/enrollments", "/queue/sagas"):
        token = story.http.staff() if path.startswith("/queue") else story.http.student("S1")
        answer = run(soon(partial(story.http.ask, "GET", path, token=token)))
        assert answer.status == 503, answer
        assert answer.problem == "database-unavailable"
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.seconds < QUICK_SECONDS, path


@then("a request with an Idempotency-Key is accepted")
def key_accepted(story: Scenario, run: Run) -> None:
    story.key = new_key()
    assert run(story.ask("A", key=story.key)).status == 202


@then("a request without one is refused, and told to send one")
def keyless_refused(story: Scenario, run: Run) -> None:
    answer = run(soon(partial(story.http.enroll, story.others[1], story.term, "A")))
    assert answer.status == 503
    assert answer.problem == "key-required"
    assert "Idempotency-Key" in answer.json["detail"]
    assert answer.seconds < QUICK_SECONDS


@then("once PostgreSQL is back the breaker closes alone")
def postgres_back(story: Scenario, run: Run) -> None:
    stack.start_one(story.saga.state_dir, "postgres")
    run(story.until_state("database", "closed", story.read))


@then("the accepted request is confirmed")
def accepted_is_confirmed(story: Scenario, run: Run) -> None:
    location = story.answers[-1].headers["Location"]
    assert run(story.http.outcome(story.student, location))["status"] == "confirmed"


@then("requests without a key are accepted again")
def keyless_accepted(story: Scenario, run: Run) -> None:
    answer = run(story.http.enroll(story.others[1], story.term, "A"))
    assert answer.status == 202, answer
    run(story.http.outcome(story.others[1], answer.headers["Location"]))


@then("once Redis is back answers are remembered again")
def redis_back(story: Scenario, run: Run) -> None:
    stack.start_one(story.saga.state_dir, "redis")
    key = new_key()

    async def replayed() -> bool:
        answer = await story.http.enroll(story.student, story.term, "A", key=key)
        return answer.headers.get("Idempotency-Replayed") == "true"

    run(eventually("an answer is remembered", replayed))


@then("requests are refused in less than 50 ms with Retry-After")
def requests_refused(story: Scenario, run: Run) -> None:
    answer = run(soon(partial(story.ask, "A", key=story.key)))
    assert answer.status == 503
    assert answer.problem == "kafka-unavailable"
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.seconds < QUICK_SECONDS


@then("what was known can still be read")
def still_read(story: Scenario, run: Run) -> None:
    assert run(story.read()).status == 200


@then("once Kafka is back a request repeated with its key is confirmed, and counts once")
def kafka_back(story: Scenario, run: Run) -> None:
    stack.start_one(story.saga.state_dir, "kafka")

    async def accepted() -> bool:
        return (await story.ask("A", key=story.key)).status == 202

    run(eventually("the request is accepted", accepted, 60))
    story.answers = story.answers[-1:]
    one_of_each(story, run)
