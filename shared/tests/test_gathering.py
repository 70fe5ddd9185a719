"""How the consumer's thread cuts what it reads into batches."""

import asyncio
import time

import pytest

from shared.consumer import CARRY_SECONDS
from shared.database import Database
from shared.message import Move
from shared.tests.machinery import (
    Servers,
    eventually,
    new_topic,
    offset_of,
    produce,
    rows_of,
    unique,
)
from shared.tests.reading import (
    IGNORED,
    PATIENT,
    TAKEN,
    DatabaseDesk,
    member,
    numbers,
    until_taken,
)


@pytest.fixture
async def database(enrollment_database: Database) -> Database:
    await rows_of(enrollment_database, TAKEN)
    return enrollment_database


async def test_events_that_nobody_reacts_to_wait_for_a_batch_that_moves_over_them_too(
    servers: Servers, database: Database
) -> None:
    topic, group = new_topic(servers.kafka_url), unique("group")
    desk = DatabaseDesk(database)

    async with member(servers, group, [topic], desk):
        produce(servers.kafka_url, topic, ["1"])
        await until_taken(database, topic, ["1"])
        produce(servers.kafka_url, topic, ["2", "3"], headers=IGNORED)
        await asyncio.sleep(CARRY_SECONDS / 2)
        produce(servers.kafka_url, topic, ["4"])
        await until_taken(database, topic, ["1", "4"])
        assert [list(batch.moves.values()) for batch in desk.started] == [
            [Move(0, 1)],
            [Move(1, 4)],
        ]

        produce(servers.kafka_url, topic, ["5"], headers=IGNORED)

        async def is_at_the_end() -> bool:
            return await offset_of(database, topic) == 5

        await eventually(is_at_the_end, what="the offset moves without a batch")


@pytest.mark.parametrize(
    ("burst_seconds", "interval_seconds", "rest_seconds"),
    [(2.0, 0.0, 0.0), (0.0, 2.0, 0.0), (0.0, 0.0, 2.0)],
)
async def test_what_comes_a_moment_after_a_first_event_joins_its_batch(
    servers: Servers,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    burst_seconds: float,
    interval_seconds: float,
    rest_seconds: float,
) -> None:
    monkeypatch.setattr("shared.pace.BURST_SECONDS", burst_seconds)
    monkeypatch.setattr("shared.pace.REST_RATIO", 1e6)
    monkeypatch.setattr("shared.pace.REST_SECONDS_MAX", rest_seconds)
    monkeypatch.setattr("shared.pace.SECONDS_PER_MESSAGE", 2.0)
    topic, desk = new_topic(servers.kafka_url), DatabaseDesk(database)

    async with member(
        servers, unique("group"), [topic], desk, interval_seconds_max=interval_seconds
    ):
        produce(servers.kafka_url, topic, ["1"])
        await until_taken(database, topic, ["1"])  # the first batch waits for nothing
        produce(servers.kafka_url, topic, ["2"])
        await asyncio.sleep(0.5)
        produce(servers.kafka_url, topic, ["3"])
        await until_taken(database, topic, ["1", "2", "3"])

    assert [len(batch.messages) for batch in desk.started] == [1, 2]


async def test_an_event_that_nobody_reacts_to_does_not_start_the_wait_for_more(
    servers: Servers, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.pace.BURST_SECONDS", 2.0)
    monkeypatch.setattr("shared.pace.SECONDS_PER_MESSAGE", 2.0)
    topic, desk = new_topic(servers.kafka_url), DatabaseDesk(database)

    async with member(servers, unique("group"), [topic], desk):
        produce(servers.kafka_url, topic, ["1"])
        await until_taken(database, topic, ["1"])
        produce(servers.kafka_url, topic, ["2"], headers=IGNORED)
        await asyncio.sleep(1.5)
        produce(servers.kafka_url, topic, ["3"])
        await asyncio.sleep(1.0)  # a wait that the ignored one had started would be over
        produce(servers.kafka_url, topic, ["4"])
        await until_taken(database, topic, ["1", "3", "4"])

    assert [len(b.messages) for b in desk.started if b.messages] == [1, 2]


async def test_what_can_wait_comes_with_the_next_that_cannot(
    servers: Servers, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.consumer.COMPANY_SECONDS", 3.0)
    topic, desk = new_topic(servers.kafka_url), DatabaseDesk(database)

    async with member(servers, unique("group"), [topic], desk):
        produce(servers.kafka_url, topic, ["1"])
        await until_taken(database, topic, ["1"])
        produce(servers.kafka_url, topic, ["2"], headers=PATIENT)
        await asyncio.sleep(0.5)
        produce(servers.kafka_url, topic, ["3"], headers=IGNORED)
        produce(servers.kafka_url, topic, ["4"])
        await until_taken(database, topic, ["1", "2", "4"])

    assert [len(batch.messages) for batch in desk.started] == [1, 2]


async def test_what_can_wait_does_not_wait_for_ever(
    servers: Servers, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.consumer.COMPANY_SECONDS", 1.0)
    topic, desk = new_topic(servers.kafka_url), DatabaseDesk(database)

    async with member(servers, unique("group"), [topic], desk):
        produce(servers.kafka_url, topic, ["1"])
        await until_taken(database, topic, ["1"])
        began = time.monotonic()
        produce(servers.kafka_url, topic, ["2"], headers=PATIENT)
        await until_taken(database, topic, ["1", "2"])

    assert 0.9 < time.monotonic() - began < 10


async def test_what_waits_for_company_makes_no_batch_larger_than_allowed(
    servers: Servers, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.consumer.COMPANY_SECONDS", 3600.0)
    topic, desk = new_topic(servers.kafka_url), DatabaseDesk(database)

    async with member(servers, unique("group"), [topic], desk, batch_size_max=3):
        produce(servers.kafka_url, topic, numbers(0, 6), headers=PATIENT)
        produce(servers.kafka_url, topic, numbers(6, 7))
        await until_taken(database, topic, numbers(0, 7))

    assert max(len(batch.messages) for batch in desk.started) <= 3


async def test_a_partition_revoked_while_its_events_wait_takes_them_with_it(
    servers: Servers, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.consumer.COMPANY_SECONDS", 5.0)
    topic, group = new_topic(servers.kafka_url, partitions=2), unique("group")
    first, second = DatabaseDesk(database), DatabaseDesk(database)

    async with member(servers, group, [topic], first):
        for partition in (0, 1):
            produce(servers.kafka_url, topic, ["1"], partition=partition)
        await until_taken(database, topic, ["1", "1"])
        for partition in (0, 1):
            produce(servers.kafka_url, topic, ["2"], partition=partition, headers=PATIENT)
        async with member(servers, group, [topic], second, instance="2"):
            await until_taken(database, topic, ["1", "2"] * 2)

    taken_by = [sum(len(batch.messages) for batch in desk.started) for desk in (first, second)]
    assert sum(taken_by) == 4
    assert (first.ended_badly, second.ended_badly) == ([], [])
