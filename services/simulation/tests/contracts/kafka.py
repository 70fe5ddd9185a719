"""One way to use Kafka in the tests of the contract: the real one, and the simulated one."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from random import Random
from typing import Any
from uuid import uuid4

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from services.simulation.client import SimulatedClient
from services.simulation.cluster import Cluster
from services.simulation.publisher import SimulatedPublisher
from services.simulation.scheduler import SECOND_US, Scheduler, Task, pause
from shared.consumer_settings import consumer_settings
from shared.errors import NotDeliveredError
from shared.identifiers import PartitionKey
from shared.message import Headers
from shared.outbox import OutboxRow
from shared.producer import BatchProducer

SESSION_SECONDS = 6.0  # the least that a broker allows
PATIENCE_SECONDS = 20.0
QUIET_SECONDS = 0.4  # what has not come by then does not come
SOURCE = "/services/test"


class Member:
    """A client that notes what it is told, and what it reads."""

    def __init__(self, kafka: "Kafka", client: Any, name: str, topics: Sequence[str]) -> None:
        self._kafka = kafka
        self._name = name
        self._is_closed = False
        self.client = client
        self.starts: dict[PartitionKey, int] = {}
        self.messages: list[Any] = []
        self.errors: list[tuple[str, str | None, int | None]] = []
        client.subscribe(
            topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    def _on_assign(self, _client: Any, partitions: list[TopicPartition]) -> None:
        keys = [PartitionKey(p.topic, p.partition) for p in partitions]
        self._kafka.told += [(self._name, "has", key.partition) for key in keys]
        starts = [TopicPartition(*key, self.starts.get(key, OFFSET_BEGINNING)) for key in keys]
        self.client.incremental_assign(starts)

    def _on_revoke(self, _client: Any, partitions: list[TopicPartition]) -> None:
        self._kafka.told += [(self._name, "gives up", p.partition) for p in partitions]
        self.client.incremental_unassign(partitions)

    def poll(self, seconds: float) -> None:
        """Poll once, and note what it brings."""
        message = self.client.poll(seconds)
        if message is None:
            return
        error = message.error()
        if error is None:
            self.messages.append(message)
        else:
            self.errors.append((error.name(), message.topic(), message.offset()))

    def poll_for(self, seconds: float) -> None:
        """Poll for a while."""
        until_seconds = self._kafka.now_seconds() + seconds
        while self._kafka.now_seconds() < until_seconds:
            self.poll(0.05)

    def values(self) -> list[str | None]:
        """Give what was read."""
        values = [message.value() for message in self.messages]
        return [None if value is None else value.decode() for value in values]

    def ends(self) -> list[int | None]:
        """Give the ends that were told of."""
        return [offset for name, _, offset in self.errors if name == "_PARTITION_EOF"]

    def close(self) -> None:
        """Close the client, once."""
        if not self._is_closed:
            self._is_closed = True
            self.client.close()


class Kafka(ABC):
    """A broker; `told` has what its members were told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, int]] = []
        self._members: list[Member] = []

    def member(self, topic: str, name: str = "1", group: str = "group") -> Member:
        """Join a group that is the topic's own."""
        settings = consumer_settings(self.url, f"{group}-{topic}", name, SESSION_SECONDS)
        member = Member(self, self.new_client(settings), name, [topic])
        self._members.append(member)
        return member

    def until(self, condition: Callable[[], bool], *members: Member) -> None:
        """Have members poll until something is so."""
        give_up_seconds = self.now_seconds() + PATIENCE_SECONDS
        while not condition():
            assert self.now_seconds() < give_up_seconds, "not within the time"
            for member in members:
                member.poll(0.02)

    def close(self) -> None:
        """Close what is still open."""
        for member in self._members:
            member.close()

    url = ""

    @abstractmethod
    def topic(self, partitions: int = 1) -> str:
        """Give a topic that nobody has used."""

    @abstractmethod
    def new_client(self, settings: dict[str, Any]) -> Any:
        """Make a client."""

    @abstractmethod
    def append(
        self, topic: str, values: Sequence[str | None], partition: int = 0, headers: Headers = ()
    ) -> None:
        """Append to one partition, in order."""

    @abstractmethod
    def forget(self, topic: str, before: int) -> None:
        """Have retention take what is older."""

    @abstractmethod
    def publish(self, rows: Sequence[OutboxRow]) -> None:
        """Publish rows, and wait for the acknowledgement."""

    @abstractmethod
    def now_seconds(self) -> float:
        """Tell the time."""


class RealKafka(Kafka):
    """A broker as it is."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self._admin = AdminClient({"bootstrap.servers": url})
        self._producer = Producer({"bootstrap.servers": url, "linger.ms": 1, "log_level": 2})

    def topic(self, partitions: int = 1) -> str:
        name = f"contract-{uuid4().hex[:8]}"
        made = self._admin.create_topics([NewTopic(name, partitions, 1)])
        made[name].result(timeout=20)
        return name

    def new_client(self, settings: dict[str, Any]) -> Any:
        return Consumer(settings)

    def append(
        self, topic: str, values: Sequence[str | None], partition: int = 0, headers: Headers = ()
    ) -> None:
        for value in values:
            raw = None if value is None else value.encode()
            self._producer.produce(topic, raw, b"key", partition=partition, headers=list(headers))
        assert self._producer.flush(20) == 0

    def forget(self, topic: str, before: int) -> None:
        for deleted in self._admin.delete_records([TopicPartition(topic, 0, before)]).values():
            deleted.result(timeout=10)

    def publish(self, rows: Sequence[OutboxRow]) -> None:
        producer = BatchProducer(self.url, SOURCE)
        producer.send(rows)
        asyncio.run(_flush(producer))

    def now_seconds(self) -> float:
        return time.monotonic()


async def _flush(producer: BatchProducer) -> None:
    while True:
        try:
            return await producer.flush()
        except NotDeliveredError:  # it has no connection yet
            continue


class Steps:
    """The thread of a test: where it blocks, virtual time goes on."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def wait(self, timeout_us: int) -> None:
        self._scheduler.is_stopped = False
        self._scheduler.run_until(self._scheduler.now_us + timeout_us)
        self._scheduler.is_stopped = False

    def wake(self) -> None:
        self._scheduler.is_stopped = True


class LivingProcess:
    """A process that nothing happens to."""

    is_dead = False

    async def reach(self, _point: str) -> None:
        await pause(500)


class SimulatedKafka(Kafka):
    """A broker in memory."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.scheduler = Scheduler(calls_max=1_000_000)
        self.cluster = Cluster(self.scheduler, Random(seed), {"one": 1, "two": 2})
        self.processes: list[LivingProcess] = []  # one for each client

    def topic(self, partitions: int = 1) -> str:
        return {1: "one", 2: "two"}[partitions]

    def new_client(self, settings: dict[str, Any]) -> Any:
        steps: Any = Steps(self.scheduler)
        self.processes.append(LivingProcess())
        return SimulatedClient(settings, self.cluster, self.processes[-1], lambda: steps)

    def append(
        self, topic: str, values: Sequence[str | None], partition: int = 0, headers: Headers = ()
    ) -> None:
        for value in values:
            raw = None if value is None else value.encode()
            while True:  # with the first key that belongs there
                key = f"key-{self.cluster.random.random()}".encode()
                if self.cluster.partition_of(topic, key) == partition:
                    break
            self.cluster.append(topic, key, raw, headers)

    def forget(self, topic: str, before: int) -> None:
        self.scheduler.run_until(self.scheduler.now_us + SECOND_US)  # only what can be read
        self.cluster.forget(PartitionKey(topic, 0), before)

    def publish(self, rows: Sequence[OutboxRow]) -> None:
        publisher = SimulatedPublisher(self.cluster, LivingProcess(), SOURCE)
        publisher.send(rows)
        task = Task(self.scheduler, publisher.flush())
        task.done.waiting.append(self.scheduler.stop)
        self.scheduler.run_until(self.scheduler.now_us + SECOND_US)
        self.scheduler.is_stopped = False
        task.done.result()

    def now_seconds(self) -> float:
        return self.scheduler.now_us / SECOND_US
