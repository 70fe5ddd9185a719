"""How old the view is, against a real broker and a real database."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from services.enrollment.ingress import freshness as module
from services.enrollment.ingress.freshness import OVERDUE_SECONDS, Freshness, Shared
from services.enrollment.ingress.log_ends import PARTITIONS_SECONDS, LogEnds
from services.enrollment.ingress.problems import Problem
from services.enrollment.ingress.tests.test_view_reader import breaker
from services.enrollment.ingress.view.reader import View
from shared.database import Database
from shared.identifiers import PartitionKey
from shared.tests.machinery import (
    Servers,
    eventually,
    new_topic,
    produce,
    proxied,
    rows_of,
    unique,
)

NOBODY = "127.0.0.1:1"


async def read_up_to(database: Database, topic: str, offset: int, partition: int = 0) -> None:
    """Be the consumer: move the view's position."""
    await rows_of(
        database,
        """
        INSERT INTO consumer_offset VALUES ($1, $2, $3)
        ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset
        """,
        topic,
        partition,
        offset,
    )


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
async def database(ingress_database: Database) -> AsyncIterator[Database]:
    """The ingress's database, closed after the last question that somebody gave up."""
    yield ingress_database
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=5)


def fresh(
    kafka_url: str,
    database: Database,
    *topics: str,
    monotonic: Callable[[], float] = time.monotonic,
) -> Freshness:
    view = View(database, breaker())
    return Freshness(LogEnds(kafka_url, topics), view.positions, monotonic=monotonic)


@asynccontextmanager
async def looking(one: Freshness) -> AsyncIterator[None]:
    task = asyncio.create_task(one.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


# Ends.


async def test_the_ends_are_those_of_every_partition(servers: Servers) -> None:
    first, second = new_topic(servers.kafka_url, 2), new_topic(servers.kafka_url)
    produce(servers.kafka_url, first, ["a", "b"], partition=1)

    ends = await LogEnds(servers.kafka_url, [first, second]).read()

    assert ends == {
        PartitionKey(first, 0): 0,
        PartitionKey(first, 1): 2,
        PartitionKey(second, 0): 0,
    }


async def test_each_question_is_answered_as_of_now(servers: Servers) -> None:
    topic = new_topic(servers.kafka_url)
    ends = LogEnds(servers.kafka_url, [topic])
    seen = []

    for value in "abc":
        produce(servers.kafka_url, topic, [value])
        seen.append((await ends.read())[PartitionKey(topic, 0)])

    assert seen == [1, 2, 3]


async def test_a_topic_that_is_not_there_has_no_end(servers: Servers) -> None:
    missing = LogEnds(servers.kafka_url, [new_topic(servers.kafka_url), unique("missing")])

    with pytest.raises(KafkaException, match="missing"):
        await missing.read()


async def test_a_partition_that_is_added_is_noticed_after_a_while(servers: Servers) -> None:
    clock, topic = Clock(), new_topic(servers.kafka_url)
    ends = LogEnds(servers.kafka_url, [topic], monotonic=clock)
    assert len(await ends.read()) == 1
    added = NewPartitions(topic, 3)
    admin = AdminClient({"bootstrap.servers": servers.kafka_url})
    admin.create_partitions([added])[topic].result(timeout=20)

    async def is_noticed() -> bool:
        clock.seconds += PARTITIONS_SECONDS
        try:
            return len(await ends.read()) == 3
        except KafkaException:  # it has no leader yet
            return False

    assert len(await ends.read()) == 1
    await eventually(is_noticed, 10)


async def test_without_a_broker_it_says_so_in_time() -> None:
    began = time.monotonic()

    with pytest.raises(KafkaException):
        await LogEnds(NOBODY, ["t"]).read()

    assert time.monotonic() - began < 2


# Reached.


async def test_the_end_of_now_is_reached_once_the_position_is_there(
    servers: Servers, database: Database
) -> None:
    topic, other = new_topic(servers.kafka_url, 2), new_topic(servers.kafka_url)
    produce(servers.kafka_url, topic, ["a", "b"], partition=1)
    produce(servers.kafka_url, other, ["a"])
    one = fresh(servers.kafka_url, database, topic, other)

    before = await one.has_reached_now([topic], 0.3)
    waiting = asyncio.create_task(one.has_reached_now([topic], 10))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await read_up_to(database, topic, 2, partition=1)

    assert not before
    assert await waiting
    assert await one.has_reached_now([topic], 5)
    assert not await one.has_reached_now([topic, other], 0.3)


async def test_what_comes_after_the_question_is_not_waited_for(
    servers: Servers, database: Database
) -> None:
    topic = new_topic(servers.kafka_url)
    produce(servers.kafka_url, topic, ["a"])
    one = fresh(servers.kafka_url, database, topic)

    waiting = asyncio.create_task(one.has_reached_now([topic], 10))
    await asyncio.sleep(0.5)
    produce(servers.kafka_url, topic, ["b", "c"])
    await read_up_to(database, topic, 1)

    assert await waiting
    assert not await one.has_reached_now([topic], 0.3)


async def test_without_a_broker_nothing_is_reached(database: Database) -> None:
    one = fresh(NOBODY, database, "t")

    began = time.monotonic()
    reached = await one.has_reached_now(["t"], 0.4)

    assert not reached
    assert time.monotonic() - began < 0.6


async def test_without_a_database_it_is_a_problem(servers: Servers, database: Database) -> None:
    topic = new_topic(servers.kafka_url)
    async with proxied(database) as (proxy, url):
        cut_off = Database(url, application_name="test")
        await proxy.cut()
        with pytest.raises(Problem):
            await fresh(servers.kafka_url, cut_off, topic).has_reached_now([topic], 5)
        await cut_off.close()


# Shared.


class Counted:
    """A question that takes a moment, and counts how often it was asked."""

    def __init__(self) -> None:
        self.begun = 0

    async def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        await asyncio.sleep(0.05)
        if number == 3:
            raise KafkaException("the third")
        return number


async def test_all_who_ask_share_an_answer_that_was_begun_after_they_asked() -> None:
    counted = Counted()
    shared = Shared(counted)

    first = [asyncio.create_task(shared.answer()) for _ in range(50)]
    await asyncio.sleep(0.01)
    second = [asyncio.create_task(shared.answer()) for _ in range(50)]

    assert set(await asyncio.gather(*first)) == {1}
    assert set(await asyncio.gather(*second)) == {2}
    assert counted.begun == 2


async def test_an_error_is_shared_too_and_the_next_question_is_asked_anew() -> None:
    shared = Shared(Counted())
    assert [await shared.answer(), await shared.answer()] == [1, 2]

    failed = await asyncio.gather(*(shared.answer() for _ in range(3)), return_exceptions=True)

    assert [type(error) for error in failed] == [KafkaException] * 3
    assert await shared.answer() == 4


async def test_who_gives_up_takes_the_answer_from_nobody() -> None:
    shared = Shared(Counted())
    impatient, patient = (asyncio.create_task(shared.answer()) for _ in range(2))
    await asyncio.sleep(0.01)

    impatient.cancel()

    assert await patient == 1


# Age.


async def test_the_view_is_as_old_as_the_oldest_that_it_has_not_read(
    servers: Servers, database: Database
) -> None:
    topic = new_topic(servers.kafka_url)
    one = fresh(servers.kafka_url, database, topic)
    async with looking(one):
        assert one.age_seconds() == 0
        produce(servers.kafka_url, topic, ["a"])

        await eventually(lambda: one.age_seconds() > 1, 5)
        await read_up_to(database, topic, 1)

        await eventually(lambda: one.age_seconds() == 0, 5)


async def test_a_view_of_which_nobody_knows_grows_older(
    servers: Servers, database: Database
) -> None:
    clock = Clock()
    topic = new_topic(servers.kafka_url)
    one = fresh(servers.kafka_url, database, topic, monotonic=clock)
    await one._look()

    clock.seconds += OVERDUE_SECONDS
    lately = one.age_seconds()
    clock.seconds += 1
    later = one.age_seconds()
    await one._look()

    assert (lately, later, one.age_seconds()) == (0, OVERDUE_SECONDS + 1, 0)


async def test_looking_goes_on_without_a_broker(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    clock = Clock()
    one = fresh(NOBODY, database, "t", monotonic=clock)
    async with looking(one) as _:
        await asyncio.sleep(1.5)
        clock.seconds += 60

        assert one.age_seconds() == 60
