"""The relay on real servers: in order, at least once, one at a time, whatever is killed."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from shared.breaker import KAFKA_POLICY, Breaker
from shared.database import Database, Transaction
from shared.errors import LeaseLostError, NotDeliveredError
from shared.identifiers import new_event_id
from shared.outbox import COLUMNS, OutboxRow
from shared.producer import BatchProducer
from shared.relay import LEASE_LOCK, Relay, lease, relay_once
from shared.tests.machinery import (
    NOW,
    TRACEPARENT,
    PrivateServers,
    Servers,
    eventually,
    headers_of,
    new_topic,
    proxied,
    read_topic,
    rolled_back,
    rows_of,
    url_of,
    value_of,
    values_of,
)

ROOT = Path(__file__).parents[2]
DEPTH = "SELECT count(*) FROM outbox"
LEASE_HOLDERS = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
RELAY_PROCESS = """
import asyncio, sys
from shared.tests.test_relay import new_relay
from shared.database import Database
asyncio.run(new_relay(Database(sys.argv[1], application_name="victim"), sys.argv[2]).run())
"""


def new_breaker(name: str = "test") -> Breaker:
    return Breaker(name, KAFKA_POLICY.probing_every(1.0), timeout_seconds=35)


def new_relay(database: Database, kafka_url: str, batch_size_max: int = 100) -> Relay:
    return Relay(
        partial(lease, database, new_breaker()),
        lambda: BatchProducer(kafka_url, "/services/test"),
        kafka_breaker=new_breaker(),
        batch_size_max=batch_size_max,
        on_published=lambda _rows: None,
    )


@asynccontextmanager
async def running(*relays: Relay) -> AsyncIterator[list["asyncio.Task[None]"]]:
    tasks = [asyncio.create_task(relay.run()) for relay in relays]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends


async def put(transaction: Transaction, topic: str, values: Sequence[str]) -> None:
    records = [
        (new_event_id(), "Tested", topic, "S1", "subject", NOW, TRACEPARENT, value.encode())
        for value in values
    ]
    await transaction.copy("outbox", COLUMNS, records)


async def commit(database: Database, topic: str, *values: str) -> None:
    async with database.transaction() as transaction:
        await put(transaction, topic, values)


async def until_empty(database: Database, seconds: float = 20) -> None:
    async def is_empty() -> bool:
        return await value_of(database, DEPTH) == 0

    await eventually(is_empty, seconds, "the outbox is empty")


async def lease_holders(database: Database) -> list[int]:
    return [int(str(row[0])) for row in await rows_of(database, LEASE_HOLDERS, LEASE_LOCK)]


def in_order_of_first_arrival(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(values))


def numbers(first: int, after: int) -> list[str]:
    return [f"{number:04}" for number in range(first, after)]


async def test_what_is_committed_is_published_in_order_and_then_forgotten(
    servers: Servers, enrollment_database: Database
) -> None:
    topic = new_topic(servers.kafka_url)
    relay = new_relay(enrollment_database, servers.kafka_url)
    await commit(enrollment_database, topic, *numbers(0, 250))

    async with running(relay):
        await until_empty(enrollment_database)
        await commit(enrollment_database, topic, *numbers(250, 260))
        relay.wake()
        await until_empty(enrollment_database)

    messages = read_topic(servers.kafka_url, topic)
    assert [(message.value() or b"").decode() for message in messages] == numbers(0, 260)
    traces = [
        [value for name, value in headers_of(message) if name == "traceparent"]
        for message in messages
    ]
    assert traces == [[TRACEPARENT.encode()]] * 260


async def test_what_rolled_back_is_not_published(
    servers: Servers, enrollment_database: Database
) -> None:
    topic = new_topic(servers.kafka_url)

    async with running(new_relay(enrollment_database, servers.kafka_url)):
        async with rolled_back(enrollment_database) as transaction:
            await put(transaction, topic, ["never"])
            await asyncio.sleep(0.3)
        await commit(enrollment_database, topic, "after")
        await until_empty(enrollment_database)

    assert values_of(servers.kafka_url, topic) == ["after"]


async def test_a_transaction_that_takes_its_id_first_and_commits_last_is_not_lost(
    servers: Servers, enrollment_database: Database
) -> None:
    topic = new_topic(servers.kafka_url)

    async with running(new_relay(enrollment_database, servers.kafka_url)):
        async with enrollment_database.transaction() as slow:
            await put(slow, topic, ["slow"])
            await commit(enrollment_database, topic, "quick")
            await until_empty(enrollment_database)
        await until_empty(enrollment_database)

    assert values_of(servers.kafka_url, topic) == ["quick", "slow"]


async def test_nothing_is_forgotten_that_no_broker_has_acknowledged(
    enrollment_database: Database,
) -> None:
    await commit(enrollment_database, "nowhere", "kept")

    async with running(new_relay(enrollment_database, "127.0.0.1:1")):
        await asyncio.sleep(1.2)

    assert await value_of(enrollment_database, DEPTH) == 1


async def test_a_crash_between_publishing_and_forgetting_repeats_in_order(
    servers: Servers, enrollment_database: Database
) -> None:
    topic = new_topic(servers.kafka_url)
    producer = BatchProducer(servers.kafka_url, "/test")
    await commit(enrollment_database, topic, *numbers(0, 3))

    async def publish(rows: Sequence[OutboxRow]) -> None:
        producer.send(rows)
        while True:
            with suppress(NotDeliveredError):
                return await producer.flush()

    async def publish_and_crash(rows: Sequence[OutboxRow]) -> None:
        await publish(rows)
        raise RuntimeError

    async with lease(enrollment_database, new_breaker()) as waiting:
        with pytest.raises(RuntimeError):
            await relay_once(waiting, publish_and_crash, 100)
    await commit(enrollment_database, topic, *numbers(3, 5))
    async with lease(enrollment_database, new_breaker()) as waiting:
        count = await relay_once(waiting, publish, 100)

    assert count == 5
    assert values_of(servers.kafka_url, topic) == numbers(0, 3) + numbers(0, 5)


async def test_the_lease_is_one_processes_alone_and_comes_back_at_its_end(
    enrollment_database: Database,
) -> None:
    async with lease(enrollment_database, new_breaker()):
        with pytest.raises(LeaseLostError):
            async with lease(enrollment_database, new_breaker()):
                pytest.fail("two have the lease")

    async with lease(enrollment_database, new_breaker()):
        assert len(await lease_holders(enrollment_database)) == 1
    assert await lease_holders(enrollment_database) == []


async def test_of_two_relays_one_publishes_and_the_other_takes_over_within_seconds(
    servers: Servers, enrollment_database: Database
) -> None:
    topic = new_topic(servers.kafka_url)
    one, other = (new_relay(enrollment_database, servers.kafka_url) for _ in range(2))

    async with running(one) as tasks:
        await eventually(lambda: one.holds_lease)
        async with running(other):
            await commit(enrollment_database, topic, *numbers(0, 50))
            await until_empty(enrollment_database)
            assert (one.holds_lease, other.holds_lease) == (True, False)
            tasks[0].cancel()
            seconds = await eventually(lambda: other.holds_lease)
            await commit(enrollment_database, topic, *numbers(50, 60))
            await until_empty(enrollment_database)

    assert seconds < 5
    assert values_of(servers.kafka_url, topic) == numbers(0, 60)


async def test_a_relay_whose_connection_is_killed_has_lost_the_lease_and_takes_it_again(
    servers: Servers, enrollment_database: Database
) -> None:
    topic = new_topic(servers.kafka_url)
    relay = new_relay(enrollment_database, servers.kafka_url)

    async with running(relay):
        await eventually(lambda: relay.holds_lease)
        [pid] = await lease_holders(enrollment_database)
        driver = await asyncpg.connect(url_of(enrollment_database))
        await driver.execute("SELECT pg_terminate_backend($1)", pid)
        await driver.close()
        await commit(enrollment_database, topic, *numbers(0, 5))
        await until_empty(enrollment_database, seconds=8)
        [after] = await lease_holders(enrollment_database)

    assert after != pid
    assert in_order_of_first_arrival(values_of(servers.kafka_url, topic)) == numbers(0, 5)


async def test_an_outage_of_the_database_only_delays_the_relay(
    servers: Servers, enrollment_database: Database
) -> None:
    topic = new_topic(servers.kafka_url)

    async with proxied(enrollment_database) as (proxy, url):
        through = Database(url, application_name="test")
        async with running(new_relay(through, servers.kafka_url)) as tasks:
            await commit(enrollment_database, topic, *numbers(0, 5))
            await until_empty(enrollment_database)
            await proxy.cut()
            await commit(enrollment_database, topic, *numbers(5, 10))
            await asyncio.sleep(0.5)
            assert not tasks[0].done()
            await proxy.open()
            await until_empty(enrollment_database)
        await through.close()

    assert in_order_of_first_arrival(values_of(servers.kafka_url, topic)) == numbers(0, 10)


async def test_a_relay_killed_while_its_delete_waits_for_a_lock_frees_the_lease_at_once(
    servers: Servers, enrollment_database: Database
) -> None:
    topic = new_topic(servers.kafka_url)
    await commit(enrollment_database, topic, "held")
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"

    async with enrollment_database.transaction() as holder:
        await holder.fetch("SELECT FROM outbox FOR UPDATE")
        urls = (url_of(enrollment_database), servers.kafka_url)
        victim = await asyncio.create_subprocess_exec(
            sys.executable, "-c", RELAY_PROCESS, *urls, cwd=ROOT
        )
        try:

            async def deletes() -> bool:
                pids = {row[0] for row in await rows_of(enrollment_database, waiting)}
                return bool(pids & set(await lease_holders(enrollment_database)))

            await eventually(deletes, 25, "the delete waits for the lock")
        finally:
            victim.kill()
            await asyncio.wait_for(victim.wait(), 10)

        async def is_free() -> bool:
            return not await lease_holders(enrollment_database)

        seconds = await eventually(is_free)

    assert seconds < 4  # and not the 10 s after which it would give the lock up
    async with running(new_relay(enrollment_database, servers.kafka_url)):
        await until_empty(enrollment_database)
    assert values_of(servers.kafka_url, topic) == ["held", "held"]


async def test_a_broker_that_stands_still_for_seconds_loses_and_reorders_nothing(
    private_servers: PrivateServers, enrollment_database: Database
) -> None:
    topic = new_topic(private_servers.kafka_url)
    relay = new_relay(enrollment_database, private_servers.kafka_url, batch_size_max=20)

    async with running(relay):
        await commit(enrollment_database, topic, *numbers(0, 100))
        await until_empty(enrollment_database)
        os.kill(private_servers.kafka_pid, signal.SIGSTOP)
        try:
            for first in range(100, 200, 10):
                await commit(enrollment_database, topic, *numbers(first, first + 10))
                relay.wake()
                await asyncio.sleep(0.3)
            depth = await value_of(enrollment_database, DEPTH)
        finally:
            os.kill(private_servers.kafka_pid, signal.SIGCONT)
        await until_empty(enrollment_database, seconds=30)

    assert depth == 100
    assert in_order_of_first_arrival(values_of(private_servers.kafka_url, topic)) == numbers(0, 200)
