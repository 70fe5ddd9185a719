"""Has a group deal its partitions anew where some of them stay without an owner.

A cooperative rebalance has two halves: the first takes partitions away, the second gives them to
others. Where the broker dies between the two, and then the members start anew under their static
names, the group is stable as the first half has left it, and nobody asks for the second.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final

from confluent_kafka import Consumer, ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from shared.consumer_settings import consumer_settings
from shared.identifiers import PartitionKey

LOGGER: Final = logging.getLogger(__name__)
LOOK_SECONDS: Final = 3.0  # twice without an owner is too long; between two halves it takes less
TIMEOUT_SECONDS: Final = 5.0
JOIN_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.1


class OwnerWatch:
    """Looks after the partitions of one group. `look` blocks; so does whatever it calls."""

    def __init__(self, bootstrap_servers: str, group: str, topics: Sequence[str]) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._group = group
        self._topics = topics
        self._unowned: frozenset[PartitionKey] = frozenset()

    @cached_property
    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self._bootstrap_servers, "log_level": 2})

    async def run(self, is_wanted: Callable[[], bool]) -> None:
        """Look every so often while it is wanted: of the processes of a service, one is enough."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not is_wanted():
                self._unowned = frozenset()
                continue
            try:
                await asyncio.to_thread(self.look)
            except KafkaException as error:
                LOGGER.info("the owners of partitions wait for Kafka: %s", error)

    def look(self) -> None:
        """Ask for a rebalance where the last look has found the same partitions unowned."""
        found = self.unowned()
        lasting, self._unowned = found & self._unowned, found
        if lasting:
            names = ", ".join(f"{key.topic}/{key.partition}" for key in sorted(lasting))
            LOGGER.warning("nobody owns %s: they are dealt anew", names)
            self._unowned = frozenset()
            self._disturb()

    def unowned(self) -> frozenset[PartitionKey]:
        """Name the partitions that no member owns; none while the group is being dealt."""
        asked = self._admin.describe_consumer_groups([self._group], request_timeout=TIMEOUT_SECONDS)
        group = asked[self._group].result()
        if group.state is not ConsumerGroupState.STABLE:
            return frozenset()
        owned = {
            PartitionKey(one.topic, one.partition)
            for member in group.members
            for one in member.assignment.topic_partitions
        }
        return frozenset(self._partitions() - owned)

    def _partitions(self) -> set[PartitionKey]:
        return {
            PartitionKey(topic, partition)
            for topic in self._topics
            for partition in self._admin.list_topics(topic, TIMEOUT_SECONDS)
            .topics[topic]
            .partitions
        }

    def _disturb(self) -> None:
        """Join without a static name, and leave: at either, all partitions are dealt anew."""
        settings = consumer_settings(self._bootstrap_servers, self._group, "guest", JOIN_SECONDS)
        del settings["group.instance.id"]
        guest = Consumer(settings)
        try:
            guest.subscribe([self._topics[0]], on_assign=lambda _guest, _partitions: None)
            until_seconds = time.monotonic() + JOIN_SECONDS
            while not guest.memberid() and time.monotonic() < until_seconds:
                guest.poll(POLL_SECONDS)
        finally:
            guest.close()
