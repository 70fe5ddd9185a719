"""The queue of requests as the ingress sees it, on a real broker."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from services.enrollment.ingress.request_queue import RequestQueue
from shared.tests.machinery import (
    PrivateServers,
    Servers,
    eventually,
    new_topic,
    produce,
    unique,
)


@asynccontextmanager
async def watching(queue: RequestQueue) -> AsyncIterator[RequestQueue]:
    task = asyncio.create_task(queue.watch())
    try:
        await eventually(lambda: queue.is_known, 20, "the queue is known")
        yield queue
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        queue.join(5)
        assert not queue.is_alive()


def commit(servers: Servers, group: str, topic: str, offsets: dict[int, int]) -> None:
    """Commit as the reader of a group would."""
    reader = Consumer({"bootstrap.servers": servers.kafka_url, "group.id": group, "log_level": 2})
    places = [TopicPartition(topic, number, offset) for number, offset in offsets.items()]
    reader.commit(offsets=places, asynchronous=False)
    reader.close()


def delete_before(servers: Servers, topic: str, offset: int) -> None:
    """Let the log begin here, as if all before had expired."""
    admin = AdminClient({"bootstrap.servers": servers.kafka_url})
    place = TopicPartition(topic, 0, offset)
    admin.delete_records([place])[place].result(timeout=20)


def members_of(servers: Servers, group: str) -> int:
    admin = AdminClient({"bootstrap.servers": servers.kafka_url})
    return sum(len(one.members) for one in admin.list_groups(group, timeout=10))


async def test_what_is_not_committed_is_the_lag_and_ages_until_it_is(servers: Servers) -> None:
    topic, group = new_topic(servers.kafka_url, partitions=2), unique("group")
    async with watching(RequestQueue(servers.kafka_url, topic=topic, group=group)) as queue:
        at_first = (queue.lag, queue.age_seconds)

        produce(servers.kafka_url, topic, ["a", "b", "c"], partition=0)
        produce(servers.kafka_url, topic, ["d"], partition=1)
        await eventually(lambda: queue.lag == 4)
        young = queue.age_seconds
        await asyncio.sleep(1.2)
        old = queue.age_seconds

        commit(servers, group, topic, {0: 2})
        await eventually(lambda: queue.lag == 2)
        still = queue.age_seconds

        commit(servers, group, topic, {0: 3, 1: 1})
        await eventually(lambda: queue.lag == 0)
        at_last = queue.age_seconds

    assert at_first == (0, 0.0)
    assert 0 <= young < 0.6
    assert 1.2 <= old - young < 1.4
    assert still > old  # the oldest in the other partition is unread
    assert at_last == 0.0


async def test_who_reads_on_under_load_is_as_old_as_the_oldest_that_is_unread(
    servers: Servers,
) -> None:
    topic, group = new_topic(servers.kafka_url), unique("group")
    async with watching(RequestQueue(servers.kafka_url, topic=topic, group=group)) as queue:
        produce(servers.kafka_url, topic, ["first"])
        await eventually(lambda: queue.lag == 1)
        await asyncio.sleep(1.5)
        before = queue.age_seconds
        produce(servers.kafka_url, topic, ["second"])
        await eventually(lambda: queue.lag == 2)
        commit(servers, group, topic, {0: 1})
        await eventually(lambda: queue.lag == 1)
        after = queue.age_seconds

    assert before >= 1.5
    assert 0 < after < before


async def test_a_reader_that_has_committed_nothing_begins_where_the_log_does(
    servers: Servers,
) -> None:
    topic, group = new_topic(servers.kafka_url), unique("group")
    produce(servers.kafka_url, topic, ["expired", "expired", "there"])
    delete_before(servers, topic, 2)

    async with watching(RequestQueue(servers.kafka_url, topic=topic, group=group)) as queue:
        lag = queue.lag

    assert lag == 1


async def test_looking_makes_nobody_a_member_and_commits_nothing(servers: Servers) -> None:
    topic, group = new_topic(servers.kafka_url), unique("group")
    produce(servers.kafka_url, topic, ["a"])
    async with watching(RequestQueue(servers.kafka_url, topic=topic, group=group)) as queue:
        await asyncio.sleep(1)
        members = members_of(servers, group)
        lag = queue.lag

    assert members == 0
    assert lag == 1


async def test_a_topic_that_is_missing_is_not_known(servers: Servers) -> None:
    queue = RequestQueue(servers.kafka_url, topic=unique("missing"), group=unique("group"))
    task = asyncio.create_task(queue.watch())
    await asyncio.sleep(1)
    known, age, alive = queue.is_known, queue.age_seconds, queue.is_alive()
    task.cancel()

    assert (known, age, alive) == (False, 0.0, True)


async def test_while_the_broker_stands_still_what_waits_ages_and_afterwards_all_is_as_before(
    private_servers: PrivateServers,
) -> None:
    kafka_url = private_servers.kafka_url
    topic, group = new_topic(kafka_url), unique("group")
    produce(kafka_url, topic, ["a", "b"])
    async with watching(RequestQueue(kafka_url, topic=topic, group=group)) as queue:
        before = queue.lag
        os.kill(private_servers.kafka_pid, signal.SIGSTOP)
        try:
            await eventually(lambda: not queue.is_known, 10)
            meanwhile, first = queue.lag, queue.age_seconds
            await asyncio.sleep(1)
            second = queue.age_seconds
        finally:
            os.kill(private_servers.kafka_pid, signal.SIGCONT)
        await eventually(lambda: queue.is_known, 30, "known again")
        commit(private_servers, group, topic, {0: 2})
        await eventually(lambda: queue.lag == 0 and queue.age_seconds == 0.0)

    assert (before, meanwhile) == (2, 2)
    assert first > 2
    assert 0.9 < second - first < 1.5


async def test_a_broker_that_has_gone_is_not_known_and_nothing_ages_that_had_been_read(
    private_servers: PrivateServers,
) -> None:
    topic = new_topic(private_servers.kafka_url)
    async with watching(
        RequestQueue(private_servers.kafka_url, topic=topic, group=unique("group"))
    ) as queue:
        os.kill(private_servers.kafka_pid, signal.SIGKILL)
        await eventually(lambda: not queue.is_known, 15)
        await asyncio.sleep(1)
        age, alive = queue.age_seconds, queue.is_alive()

    assert (age, alive) == (0.0, True)
