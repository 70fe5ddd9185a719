"""The services' own consumer on the simulated Kafka, under rebalances and members that stop."""

from collections.abc import Callable, Coroutine, Sequence
from concurrent import futures
from functools import partial
from random import Random
from typing import Any

import pytest

from services.simulation.client import SimulatedClient
from services.simulation.cluster import Cluster
from services.simulation.scheduler import SECOND_US, Scheduler, Task, Thread, pause
from shared.consumer import BatchConsumer
from shared.consumer_settings import consumer_settings
from shared.desk import ReadBatch
from shared.errors import StaleBatchError
from shared.identifiers import PartitionKey
from shared.message import Interest

TOPICS = {"first": 2, "second": 2}
MESSAGES = 1_000


class Store:
    """What outlasts the members: the offsets, and which messages were handled."""

    def __init__(self) -> None:
        self.offsets: dict[PartitionKey, int] = {}
        self.handled: dict[PartitionKey, list[int]] = {}
        self.stale = 0

    def commit(self, batch: ReadBatch) -> None:
        if any(self.offsets.get(key, 0) != move.expected for key, move in batch.moves.items()):
            self.stale += 1
            raise StaleBatchError
        for message in batch.messages:
            self.handled.setdefault(message.partition_key, []).append(message.offset)
        self.offsets |= {key: move.next for key, move in batch.moves.items()}


class Run:
    """A batch at work in a task."""

    def __init__(self, task: Task, thread: Thread) -> None:
        self._task, self._thread = task, thread
        task.done.waiting.append(thread.wake)

    def cancel(self) -> None:
        self._task.cancel()

    def wait(self, seconds: float) -> bool:
        if not self._task.done.is_set:
            self._thread.wait(int(seconds * SECOND_US))
        return self._task.done.is_set

    def result(self) -> None:
        try:
            self._task.done.result()
        except BaseException as error:
            if isinstance(error, Exception):
                raise
            raise futures.CancelledError from None


class Member:
    """A process with a consumer, which is its own desk; its batches take a while."""

    def __init__(self, world: "World", name: str) -> None:
        self.is_dead = False
        self._world = world
        self._tasks: list[Task] = []
        scheduler = world.scheduler
        self.consumer = BatchConsumer(
            consumer_settings("simulated", "group", name, 6.0),
            list(TOPICS),
            self,
            interest_in=lambda _topic, _headers: Interest.NOW,
            batch_size_max=20,
            interval_seconds_max=0.005,
            poll_seconds=1.0,
            new_client=self._new_client,
            monotonic=lambda: scheduler.now_us / SECOND_US,
        )
        self.thread = Thread(scheduler, self.consumer.run)

    def _new_client(self, settings: dict[str, Any]) -> SimulatedClient:
        return SimulatedClient(settings, self._world.cluster, self, lambda: self.thread)

    async def reach(self, point: str) -> None:
        raise NotImplementedError  # nothing here publishes

    def start(self, batch: ReadBatch) -> Run:
        task = Task(self._world.scheduler, self._handle(batch))
        self._tasks.append(task)
        return Run(task, self.thread)

    def _handle(self, batch: ReadBatch) -> Coroutine[Any, Any, None]:
        return self._world.handle(batch)

    def read_offsets(self) -> dict[PartitionKey, int]:
        self.thread.wait(1_000)
        return dict(self._world.store.offsets)

    def closed_topics(self) -> frozenset[str]:
        return frozenset()

    def freeze(self) -> None:
        self._world.cluster.freeze(self)
        self.thread.freeze()
        for task in self._tasks:
            task.freeze()

    def thaw(self) -> None:
        self._world.cluster.thaw(self)
        self.thread.thaw()
        for task in self._tasks:
            task.thaw()

    def kill(self) -> None:
        self.is_dead = True
        self.thread.kill()
        for task in self._tasks:
            task.kill()


class World:
    """A cluster, a store and members."""

    def __init__(self, seed: int, work_us: int = 5_000) -> None:
        self.random = Random(seed)
        self.scheduler = Scheduler(calls_max=1_000_000)
        self.cluster = Cluster(self.scheduler, self.random, TOPICS)
        self.store = Store()
        self._work_us = work_us

    async def handle(self, batch: ReadBatch) -> None:
        await pause(int(self.random.random() * 2 * self._work_us))
        if self.random.random() < 0.01:
            await pause(SECOND_US)  # longer than the consumer's patience
        self.store.commit(batch)

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        self.scheduler.after(int(seconds * SECOND_US), call)

    def append(self, count: int, within_us: int) -> None:
        for number in range(count):
            topic = self.random.choice(list(TOPICS))
            append = partial(self._append, topic, f"{number}".encode())
            self.scheduler.after(self.random.randrange(within_us), append)

    def _append(self, topic: str, key: bytes) -> None:
        self.cluster.append(topic, key, b"value", ())

    def run(self, seconds: float) -> None:
        self.scheduler.run_until(int(seconds * SECOND_US))

    def assert_all_is_handled_in_order(self, members: Sequence[Member]) -> None:
        assert [member.consumer.failure for member in members] == [None] * len(members)
        handled = {key: offsets for key, offsets in self.store.handled.items() if offsets}
        ends = self.cluster.ends(TOPICS)
        assert handled == {key: list(range(end)) for key, end in ends.items()}
        assert self.cluster.committed("group") == ends


@pytest.mark.parametrize("seed", range(10))
def test_each_message_is_handled_once_and_in_order_through_rebalances_and_a_frozen_member(
    seed: int,
) -> None:
    world = World(seed)
    one, other = Member(world, "1"), Member(world, "2")
    world.append(MESSAGES, 30 * SECOND_US)
    for second in range(2, 20, 2):
        world.after(second, partial(world.cluster.rebalance, "group"))
    world.after(4.5, one.freeze)
    world.after(4.5 + seed, one.thaw)

    world.run(60)

    world.assert_all_is_handled_in_order([one, other])


def test_a_member_that_is_killed_reads_on_in_its_next_life() -> None:
    world = World(1)
    one, other = Member(world, "1"), Member(world, "2")
    world.append(MESSAGES, 20 * SECOND_US)
    lives = [other]
    world.after(5, one.kill)
    world.after(7, lambda: lives.append(Member(world, "1")))

    world.run(60)

    world.assert_all_is_handled_in_order(lives)


def test_the_same_seed_gives_the_same_history() -> None:
    histories = []
    for _ in range(2):
        world = World(7)
        members = Member(world, "1"), Member(world, "2")
        world.append(200, 5 * SECOND_US)
        world.after(2, partial(world.cluster.rebalance, "group"))
        world.run(30)
        world.assert_all_is_handled_in_order(members)
        histories.append((world.scheduler.calls, list(world.store.handled.items())))

    assert histories[0] == histories[1]
