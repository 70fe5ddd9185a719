"""Kafka in memory, in virtual time: partitioned logs, and the groups that read them."""

from collections.abc import Iterable, Mapping
from random import Random
from typing import Final
from zlib import crc32

from services.simulation.group import Group
from services.simulation.log import Log, Record
from services.simulation.ports import Process
from services.simulation.scheduler import Scheduler
from shared.errors import NotDeliveredError
from shared.identifiers import PartitionKey
from shared.message import Headers

DELAY_US: Final = 4_000  # until a record can be read, at most, but for a few
SLOW_SHARE: Final = 0.02
SLOW_FACTOR: Final = 50


class Cluster:
    """The broker and its topics, given as the number of partitions of each."""

    def __init__(self, scheduler: Scheduler, random: Random, topics: Mapping[str, int]) -> None:
        self.scheduler = scheduler
        self.random = random
        self._topics = {
            topic: [Log(PartitionKey(topic, number)) for number in range(partitions)]
            for topic, partitions in topics.items()
        }
        self._groups: dict[str, Group] = {}
        self._is_down = False

    @property
    def is_down(self) -> bool:
        """Tell whether nothing can be read or appended; who is a member stays so."""
        return self._is_down

    @is_down.setter
    def is_down(self, is_down: bool) -> None:
        if self._is_down and not is_down:
            self._is_down = False
            for group in self._groups.values():
                group.go_on()
        self._is_down = is_down

    def append(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers
    ) -> tuple[int, int]:
        """Append a record, and give its partition and offset; it can be read a moment later.

        Raises NotDeliveredError while the cluster is down.
        """
        if self._is_down:
            raise NotDeliveredError("Kafka does not answer")
        chance = self.random.random
        number = self.partition_of(topic, key)
        log = self._topics[topic][number]
        offset = len(log.records)
        log.records.append(Record(log.key, offset, key, value, headers))
        delay_us = int(chance() * DELAY_US) + 1
        if chance() < SLOW_SHARE:
            delay_us *= SLOW_FACTOR
        now_us = self.scheduler.now_us
        log.readable_at_us = max(log.readable_at_us, now_us + delay_us)
        self.scheduler.after(log.readable_at_us - now_us, log.show_next)
        return number, offset

    def partition_of(self, topic: str, key: bytes | None) -> int:
        """Choose the partition of a key; without one, any."""
        count = len(self._topics[topic])
        return crc32(key) % count if key is not None else int(self.random.random() * count)

    def records(self, topic: str) -> list[Record]:
        """Give everything that was ever appended, partition by partition."""
        return [record for log in self._topics[topic] for record in log.records]

    def log(self, key: PartitionKey) -> Log:
        """Give the log of a partition."""
        return self._topics[key.topic][key.partition]

    def begin(self, key: PartitionKey) -> int:
        """Give the first offset that retention has left."""
        return self.log(key).begin

    def end(self, key: PartitionKey) -> int:
        """Give the offset that the next record will have."""
        return len(self.log(key).records)

    def ends(self, topics: Iterable[str]) -> dict[PartitionKey, int]:
        """Give the ends of all partitions that hold something."""
        logs = [log for topic in topics for log in self._topics[topic]]
        return {log.key: len(log.records) for log in logs if len(log.records) > log.begin}

    def forget(self, key: PartitionKey, before_offset: int) -> None:
        """Have retention take what is older, of what can be read."""
        log = self.log(key)
        log.begin = max(log.begin, min(before_offset, log.readable))

    def group(self, name: str) -> Group:
        """Give a group; it is made when it is first asked for."""
        if name not in self._groups:
            numbers = {topic: len(logs) for topic, logs in self._topics.items()}
            self._groups[name] = Group(self.scheduler, self.random, numbers, lambda: self._is_down)
        return self._groups[name]

    def rebalance(self, group: str) -> None:
        """Deal the partitions of a group anew."""
        self.group(group).rebalance()

    def committed(self, group: str) -> dict[PartitionKey, int]:
        """Give the offsets that the group's members have stored: for its lag, and nothing else."""
        return self.group(group).committed

    def freeze(self, process: Process) -> None:
        """Have the members of a process send no heartbeats until `thaw`."""
        for group in self._groups.values():
            group.freeze(process)

    def thaw(self, process: Process) -> None:
        """Let them send heartbeats again, and soon learn what has become of their places."""
        for group in self._groups.values():
            group.thaw(process)
