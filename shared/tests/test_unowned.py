"""Partitions that a lost half of a rebalance has left without an owner, on a real broker."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer

from shared.consumer_settings import consumer_settings
from shared.tests.machinery import Servers, eventually, new_topic, unique
from shared.unowned import OwnerWatch

PARTITIONS = 4


class Member:
    """A static member that knows what it owns; it does nothing unless it is polled."""

    def __init__(self, servers: Servers, group: str, topic: str, name: str) -> None:
        self.owned: set[int] = set()
        self._client = Consumer(consumer_settings(servers.kafka_url, group, name, 30.0))
        self._client.subscribe([topic], on_assign=self._on_assign, on_revoke=self._on_revoke)

    def _on_assign(self, client: Any, partitions: Any) -> None:
        client.incremental_assign(partitions)
        self.owned |= {one.partition for one in partitions}

    def _on_revoke(self, client: Any, partitions: Any) -> None:
        client.incremental_unassign(partitions)
        self.owned -= {one.partition for one in partitions}

    def poll(self) -> bool:
        """Let it hear, and tell whether it has joined."""
        self._client.poll(0.05)
        return bool(self._client.memberid())

    def close(self) -> None:
        """End it: a static member leaves its place to whoever comes in its name."""
        self._client.close()


@contextmanager
def half_dealt(
    servers: Servers, group: str, topic: str
) -> Iterator[Callable[[], tuple[set[int], set[int]]]]:
    """Give what polls two members of a group whose last rebalance has lost its second half."""
    first = Member(servers, group, topic, "1")
    poll_until(lambda: first.poll() and len(first.owned) == PARTITIONS)
    second = Member(servers, group, topic, "2")
    poll_until(second.poll)  # the first is not polled: it never hears that it has to give up some
    first.close()
    first = Member(servers, group, topic, "1")
    poll_until(lambda: first.poll() and bool(first.owned))

    def poll_both() -> tuple[set[int], set[int]]:
        first.poll()
        second.poll()
        return first.owned, second.owned

    yield poll_both
    first.close()
    second.close()


def poll_until(is_so: Callable[[], bool]) -> None:
    for _ in range(400):
        if is_so():
            return
    raise AssertionError("the members do not come so far")


async def test_what_a_lost_half_of_a_rebalance_leaves_without_an_owner_is_dealt_anew(
    servers: Servers,
) -> None:
    group, topic = unique("group"), new_topic(servers.kafka_url, PARTITIONS)
    watch = OwnerWatch(servers.kafka_url, group, [topic])

    with half_dealt(servers, group, topic) as poll_both:
        unowned = watch.unowned()
        assert len(unowned) == PARTITIONS // 2
        for _ in range(20):
            poll_both()
        assert watch.unowned() == unowned, "no member asks for the second half by itself"

        watch.look()
        assert watch.unowned() == unowned, "one look is not enough"
        watch.look()

        def all_owned() -> bool:
            one, other = poll_both()
            return one | other == set(range(PARTITIONS)) and not one & other

        await eventually(all_owned, what="an owner for each partition")
    assert not watch.unowned()


async def test_a_group_that_owns_all_is_left_in_peace(servers: Servers) -> None:
    group, topic = unique("group"), new_topic(servers.kafka_url, PARTITIONS)
    watch = OwnerWatch(servers.kafka_url, group, [topic])
    member = Member(servers, group, topic, "1")
    poll_until(lambda: member.poll() and len(member.owned) == PARTITIONS)

    watch.look()
    watch.look()
    for _ in range(20):
        member.poll()

    assert watch.unowned() == frozenset()
    assert len(member.owned) == PARTITIONS
    member.close()


def test_a_group_that_nobody_has_joined_yet_is_left_in_peace(servers: Servers) -> None:
    watch = OwnerWatch(servers.kafka_url, unique("group"), [new_topic(servers.kafka_url)])

    assert watch.unowned() == frozenset()
