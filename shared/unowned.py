"""Has a group deal its partitions anew where some of them stay without an owner.

A cooperative rebalance has two halves: the first takes partitions away, the second gives them to
others. Where the broker dies between the two, and then the members start anew under their static
names, the group is stable as the first half has left it, and nobody asks for the second.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from struct import unpack_from
from typing import Final

from confluent_kafka import Consumer, KafkaException
from confluent_kafka.admin import AdminClient

from shared.consumer_settings import consumer_settings
from shared.identifiers import PartitionKey

LOGGER: Final = logging.getLogger(__name__)
# Between two halves a member rolls a batch back and asks its database: within 8 s, or it is dead.
LOOK_SECONDS: Final = 10.0
LOOKS_MIN: Final = 2
LOOKS_MAX: Final = 32  # where dealing anew does not help, it is not done again and again
TIMEOUT_SECONDS: Final = 5.0
GUEST_SECONDS: Final = 6.0  # its session, and the longest that it waits to be dealt in
POLL_SECONDS: Final = 0.1
JOIN_POLL_SECONDS: Final = 0.5


class OwnerWatch(threading.Thread):
    """Looks after the partitions of one group, in a thread: the client blocks."""

    def __init__(
        self,
        bootstrap_servers: str,
        group: str,
        topics: Sequence[str],
        is_wanted: Callable[[], bool],
    ) -> None:
        super().__init__(name="owners", daemon=True)
        self._bootstrap_servers = bootstrap_servers
        self._group = group
        self._topics = topics
        self._is_wanted = is_wanted  # of the processes of a service, one is enough
        self._stopping = threading.Event()
        self._lasting: frozenset[PartitionKey] = frozenset()
        self._looks = 0
        self._looks_needed = LOOKS_MIN
        self.unowned_count = 0  # as it was seen last
        self.failure: BaseException | None = None

    async def watch(self) -> None:
        """Watch until cancelled; raises what ends the thread. Never waits for Kafka itself."""
        self.start()
        try:
            while self.is_alive():
                await asyncio.sleep(JOIN_POLL_SECONDS)
        finally:
            self._stopping.set()
        if self.failure is not None:
            raise self.failure

    def run(self) -> None:
        """Look every so often; an error here ends the thread and is kept in `failure`."""
        try:
            while not self._stopping.wait(LOOK_SECONDS):
                self._look_if_wanted()
        except Exception as error:
            LOGGER.exception("the watch over the owners of partitions has failed")
            self.failure = error

    def _look_if_wanted(self) -> None:
        if not self._is_wanted():
            self._lasting, self.unowned_count = frozenset(), 0
            return
        try:
            self.look()
        except KafkaException as error:
            LOGGER.info("the owners of partitions wait for Kafka: %s", error)

    def look(self) -> None:
        """Deal anew what several looks in a row have found unowned; the more, the less it helps."""
        found = self.unowned()
        self.unowned_count = len(found)
        if not found:
            self._looks_needed = LOOKS_MIN
        self._lasting = found & self._lasting if self._lasting else found
        self._looks = self._looks + 1 if self._lasting else 0
        if self._looks >= self._looks_needed:
            names = ", ".join(f"{key.topic}/{key.partition}" for key in sorted(self._lasting))
            LOGGER.warning("nobody owns %s: all are dealt anew", names)
            self._lasting, self._looks = frozenset(), 0
            self._looks_needed = min(2 * self._looks_needed, LOOKS_MAX)
            self.deal_anew()

    def unowned(self) -> frozenset[PartitionKey]:
        """Name the partitions that no member owns; none while the group is being dealt.

        Not by `describe_consumer_groups`: the client (librdkafka 2.16) aborts the whole process
        where the broker dies in the middle of that and comes back.
        """
        where = {"bootstrap.servers": self._bootstrap_servers}
        admin = AdminClient({**where, "log_level": 2}, logger=LOGGER)
        wanted = {
            PartitionKey(topic, partition)
            for topic in self._topics
            for partition in admin.list_topics(topic, TIMEOUT_SECONDS).topics[topic].partitions
        }
        groups = admin.list_groups(self._group, timeout=TIMEOUT_SECONDS)
        if [group.state for group in groups] != ["Stable"]:
            return frozenset()
        owned = (owned_by(member.assignment or b"") for member in groups[0].members)
        return frozenset(wanted.difference(*owned))

    def deal_anew(self) -> None:
        """Join without a static name, and leave: at either, all partitions are dealt anew."""
        settings = consumer_settings(self._bootstrap_servers, self._group, None, GUEST_SECONDS)
        guest = Consumer(settings, logger=LOGGER)
        is_dealt_in = threading.Event()
        try:
            guest.subscribe([self._topics[0]], on_assign=lambda _guest, _keys: is_dealt_in.set())
            until_seconds = time.monotonic() + GUEST_SECONDS
            while not (is_dealt_in.is_set() or self._stopping.is_set()):
                message = guest.poll(POLL_SECONDS)
                if message is not None and message.error() is not None:
                    LOGGER.warning("a guest of the group: %s", message.error())
                if time.monotonic() > until_seconds:
                    LOGGER.warning("a guest was not dealt in within %g s", GUEST_SECONDS)
                    return
        finally:
            guest.close()


def owned_by(assignment: bytes) -> set[PartitionKey]:
    """Read what a member owns: ConsumerProtocolAssignment of the Kafka protocol, any version."""
    owned: set[PartitionKey] = set()
    if not assignment:
        return owned
    (topics,), at = unpack_from(">i", assignment, 2), 6
    for _ in range(topics):
        (length,) = unpack_from(">h", assignment, at)
        topic = assignment[at + 2 : at + 2 + length].decode()
        (count,) = unpack_from(">i", assignment, at + 2 + length)
        at += 2 + length + 4
        numbers = unpack_from(f">{count}i", assignment, at)
        owned.update(PartitionKey(topic, number) for number in numbers)
        at += 4 * count
    return owned
