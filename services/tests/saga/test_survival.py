"""A process is killed in the middle of a day: the day ends all the same, and all is sound."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from loadtests.day.report import DayReport
from services.tests.saga.client import Saga
from services.tests.saga.days import cut_of_the_day, run_a_day
from services.tests.saga.waiting import eventually

REQUESTS = 1000
RATE = 300.0
SERVICES = ("enrollment", "student", "capacity")
KILL_AFTER = 200
READS_AGAIN_SECONDS = 10.0

pytestmark = pytest.mark.timeout(240)

KNOWN = "SELECT 1 FROM enrollment WHERE term = $1 OFFSET $2 LIMIT 1"
OFFSETS = "SELECT topic, partition, next_offset FROM consumer_offset ORDER BY 1, 2"
SESSIONS_BEFORE = """
    SELECT pid FROM pg_stat_activity WHERE application_name LIKE $1 AND backend_start < $2
"""
LOCK_OUTBOX = "SELECT id FROM outbox FOR UPDATE"
RELAYS_WAITING = """
    SELECT pid FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND query LIKE '%DELETE FROM outbox%'
"""


@asynccontextmanager
async def a_day(saga: Saga) -> AsyncIterator[asyncio.Task[DayReport]]:
    """Begin a day that is short of seats; the block is entered in the middle of it."""
    day = cut_of_the_day(REQUESTS, seats_factor=0.5)
    playing = asyncio.ensure_future(run_a_day(saga, day, rate=RATE))
    try:
        await eventually(
            "the middle of the day", lambda: saga.rows("enrollment", KNOWN, day.term, KILL_AFTER)
        )
        yield playing
    finally:
        await playing


def assert_fine(report: DayReport) -> None:
    assert report.undecided == 0
    assert list(report.violations) == []
    assert report.confirmed + report.rejected == REQUESTS
    assert report.rejected > 0
    assert "deadline" not in report.reasons


async def seconds_until_it_reads_again(saga: Saga, service: str, killed: int) -> float:
    """Measure from the start of the successor until it has moved an offset."""
    successor = await saga.started_again(service, killed)
    started_at = datetime.fromtimestamp(successor.create_time(), UTC)

    async def has_ended() -> bool:
        return not await saga.rows(service, SESSIONS_BEFORE, f"{service}-%", started_at)

    async def reads_again() -> bool:
        return await saga.rows(service, OFFSETS) != before

    await eventually("last commits of the killed one", has_ended)
    before = await saga.rows(service, OFFSETS)
    await eventually(f"{service} reads again", reads_again)
    return time.time() - successor.create_time()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_day_survives_the_death_of_a_service_which_soon_reads_again(
    saga: Saga, service: str
) -> None:
    async with a_day(saga) as playing:
        killed = saga.kill(service)
        seconds = await seconds_until_it_reads_again(saga, service, killed)

    assert_fine(await playing)
    assert seconds < READS_AGAIN_SECONDS


@pytest.mark.parametrize("server", ["postgres", "kafka"])
async def test_a_day_survives_the_death_of_a_server(saga: Saga, server: str) -> None:
    async with a_day(saga) as playing:
        killed = saga.kill(server)
        await saga.started_again(server, killed)

    await saga.ready_again()
    assert_fine(await playing)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_day_survives_the_death_of_a_service_whose_relay_cannot_delete(
    saga: Saga, service: str
) -> None:
    async with (
        a_day(saga) as playing,
        saga.connection(service) as connection,
        connection.transaction(),
    ):
        await eventually("rows in the outbox", lambda: connection.fetch(LOCK_OUTBOX))
        (before,) = await eventually("relay waits", lambda: relays_waiting(saga, service))
        killed = saga.kill(service)
        await saga.started_again(service, killed)
        after = await eventually(
            "the next relay waits", lambda: relays_waiting(saga, service, other_than=before)
        )

    assert_fine(await playing)
    assert before not in after


async def relays_waiting(saga: Saga, service: str, *, other_than: int | None = None) -> list[int]:
    """Name the connections whose relay waits for our lock."""
    rows = await saga.rows(service, RELAYS_WAITING)
    return [row["pid"] for row in rows if row["pid"] != other_than]
