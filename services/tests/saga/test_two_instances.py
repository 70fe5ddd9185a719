"""Two processes of each service, with room for few pending enrollments."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from deploy.local import services, stack
from deploy.local.state import Plan, ProcessState
from services.tests.saga.client import Saga, running
from services.tests.saga.days import (
    cut_of_the_day,
    ids_of,
    import_day,
    mails_of,
    play_day,
    requests_of,
    with_deadline,
)
from services.tests.saga.waiting import eventually
from shared.choreography import REQUESTS, Service, subscriptions
from shared.topics import PARTITIONS

PENDING_MAX = 50
SESSION_SECONDS = 10.0
SHORT_DEADLINE_SECONDS = 5.0
LAST_BATCH_SECONDS = 2.0  # what was being read as the intake closed still comes in
OPENED = "SELECT enrollment_id, stage FROM enrollment WHERE term = $1"

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Saga]:
    """A saga of its own, with two processes of each service."""
    plan = Plan(services=services.plan_services(2), fsync=False, quick_start=True)
    environment = {"PENDING_MAX": str(PENDING_MAX)}
    directory = tmp_path_factory.mktemp("pair")
    async with running(directory, environment=environment, plan=plan) as started:
        yield started


def read_by(saga: Saga, instance: str) -> set[str]:
    """Name the partitions that a process reads."""
    return set(saga.health(instance)["lag"])


def all_read_by(service: Service) -> set[str]:
    """Name the partitions that a service has to read."""
    return {f"{t.name}/{n}" for t in subscriptions(service) for n in range(PARTITIONS)}


async def shared_between_two(saga: Saga, service: Service) -> tuple[set[str], set[str]]:
    """Wait until both processes read, and all is read; give what each of them reads."""

    async def look() -> tuple[set[str], set[str]] | None:
        first, second = read_by(saga, service), read_by(saga, f"{service}-2")
        return (first, second) if first and second and first | second == all_read else None

    all_read = all_read_by(service)
    return await eventually(f"both {service}s read", look)


async def no_lag(saga: Saga, instances: list[str]) -> bool:
    return not any(sum(saga.health(name)["lag"].values()) for name in instances)


async def test_requests_wait_in_their_topic_while_too_many_are_pending(pair: Saga) -> None:
    day = cut_of_the_day(250)
    await import_day(pair, day)
    batch = requests_of(day)
    patient = batch._replace(messages=batch.messages[:100])
    hasty = with_deadline(batch._replace(messages=batch.messages[100:]), SHORT_DEADLINE_SECONDS)
    stopped = ["capacity", "capacity-2"]
    for name in stopped:
        stack.stop_one(pair.state_dir, name)

    playing = asyncio.ensure_future(play_day(pair, patient, rate=100))
    await eventually("intake closed", lambda: is_closed(pair))
    await asyncio.sleep(LAST_BATCH_SECONDS)
    pair.send(*mails_of(hasty))
    sent_at = time.monotonic()
    await eventually("hasty deadlines over", lambda: has_passed(sent_at))
    opened = await pair.rows("enrollment", OPENED, day.term)
    for name in stopped:
        stack.start_one(pair.state_dir, name)
    played = await playing
    await pair.states_of(ids_of(hasty))
    rows = await pair.rows("enrollment", OPENED, day.term)

    assert PENDING_MAX < len(opened) <= 2 * PENDING_MAX
    assert not {row["enrollment_id"] for row in opened} & set(ids_of(hasty))
    assert played.outcomes.decided == 100
    assert len(rows) == 250
    assert {row["stage"] for row in rows} <= {None, "eligibility"}


async def is_closed(saga: Saga) -> bool:
    readers = ("enrollment", "enrollment-2")
    return all(REQUESTS.name in saga.health(name)["closed_topics"] for name in readers)


async def has_passed(sent_at: float) -> bool:
    return time.monotonic() > sent_at + SHORT_DEADLINE_SECONDS


async def test_both_work_and_when_one_is_killed_for_good_the_other_takes_over(pair: Saga) -> None:
    term, students = await pair.set_up({"A": 40, "B": 40}, students=40)
    seconds = [f"{service}-2" for service in Service]
    before = {service: await shared_between_two(pair, service) for service in Service}
    first_wave = [pair.request(student, term, "A") for student in students]
    states = await pair.states_of(first_wave)
    await eventually("no lag", lambda: no_lag(pair, [*Service, *seconds]))
    moving = {place for _, second in before.values() for place in second}
    orphans = [
        student
        for student, enrollment in zip(students, first_wave, strict=True)
        if moving & await places_of(pair, enrollment)
    ]

    killed_at = time.monotonic()
    for name in seconds:
        stack.stop_one(pair.state_dir, name, kill=True)
    second_wave = [pair.request(student, term, "B") for student in orphans]
    states_after = await pair.states_of(second_wave)
    decided_after = time.monotonic() - killed_at
    await eventually("one reads what two did", lambda: read_all(pair))
    moved_after = time.monotonic() - killed_at

    assert all(not (first & second) for first, second in before.values())
    assert set(states) == {"confirmed"}
    assert len(orphans) > 0
    assert set(states_after) == {"confirmed"}
    assert decided_after < SESSION_SECONDS + 5
    assert moved_after < SESSION_SECONDS + 5
    found = stack.status(pair.state_dir).services
    assert {found[name].state for name in seconds} == {ProcessState.STOPPED}
    await pair.assert_sound()


async def places_of(saga: Saga, enrollment: UUID) -> set[str]:
    """Name the partitions that have the events of this enrollment."""
    await saga.said_of(enrollment, "EnrollmentConfirmed")
    return {f"{event.topic}/{event.partition}" for event in saga.events_of(enrollment)}


async def read_all(saga: Saga) -> bool:
    return all(read_by(saga, service) == all_read_by(service) for service in Service)
