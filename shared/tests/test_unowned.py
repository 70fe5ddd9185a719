"""Partitions that a lost half of a rebalance has left without an owner, on a real broker."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer

from shared.consumer_settings import consumer_settings
from shared.identifiers import PartitionKey
from shared.tests.machinery import Servers, eventually, new_topic, unique
from shared.unowned import OwnerWatch, owned_by

ROOT = Path(__file__).parents[2]
PARTITIONS = 4
END_SECONDS = 2.0
FIRST = """
import sys, time
from confluent_kafka import Consumer
from shared.consumer_settings import consumer_settings

def on_assign(client, partitions):
    client.incremental_assign(partitions)
    owned.update(one.partition for one in partitions)

owned = set()
client = Consumer(consumer_settings(sys.argv[1], sys.argv[2], "1", 30.0))
client.subscribe([sys.argv[3]], on_assign=on_assign)
while len(owned) < 4:
    client.poll(0.05)
print("owns all", flush=True)
time.sleep(60)
"""
WATCH = """
import asyncio, time
from shared import unowned

unowned.LOOK_SECONDS = 0.01

async def main():
    watch = unowned.OwnerWatch("127.0.0.1:{port}", "g", ["t"], lambda: True)
    watching = asyncio.create_task(watch.watch())
    await asyncio.sleep(1.0)
    watching.cancel()
    print(time.time(), flush=True)

asyncio.run(main())
"""


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


PollBoth = Callable[[], tuple[set[int], set[int]]]


@contextmanager
def half_dealt(servers: Servers, group: str, topic: str) -> Iterator[PollBoth]:
    """Give what polls two members of a group whose last rebalance has lost its second half."""
    started = subprocess.Popen(
        [sys.executable, "-c", FIRST, servers.kafka_url, group, topic],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        assert started.stdout is not None
        assert started.stdout.readline() == b"owns all\n"
        second, watch = Member(servers, group, topic, "2"), watch_of(servers, group, topic)
        poll_until(lambda: second.poll() and len(watch.unowned()) == PARTITIONS // 2)
    finally:
        started.kill()  # it has not heard yet that it has to give up some
        started.communicate()
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


def all_owned(poll_both: PollBoth) -> bool:
    one, other = poll_both()
    return one | other == set(range(PARTITIONS)) and not one & other


def watch_of(servers: Servers, group: str, topic: str) -> OwnerWatch:
    return OwnerWatch(servers.kafka_url, group, [topic], lambda: True)


async def test_what_a_lost_half_of_a_rebalance_leaves_without_an_owner_is_dealt_anew(
    servers: Servers,
) -> None:
    group, topic = unique("group"), new_topic(servers.kafka_url, PARTITIONS)
    watch = watch_of(servers, group, topic)

    with half_dealt(servers, group, topic) as poll_both:
        unowned = watch.unowned()
        assert len(unowned) == PARTITIONS // 2
        for _ in range(20):
            poll_both()
        assert watch.unowned() == unowned, "no member asks for the second half by itself"

        watch.look()
        assert watch.unowned() == unowned, "one look is not enough"
        watch.look()

        await eventually(lambda: all_owned(poll_both), what="an owner for each partition")
    assert not watch.unowned()
    assert watch.unowned_count == PARTITIONS // 2, "as it was seen last"
    watch.look()
    assert watch.unowned_count == 0


async def test_the_thread_looks_by_itself_while_it_is_wanted_and_ends_at_once(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.unowned.LOOK_SECONDS", 0.3)
    group, topic = unique("group"), new_topic(servers.kafka_url, PARTITIONS)
    is_wanted = False
    watch = OwnerWatch(servers.kafka_url, group, [topic], lambda: is_wanted)

    with half_dealt(servers, group, topic) as poll_both:
        watching = asyncio.create_task(watch.watch())
        await asyncio.sleep(2.0)
        assert not all_owned(poll_both), "nobody has asked it to look"
        is_wanted = True
        await eventually(lambda: all_owned(poll_both), what="an owner for each partition")
        watching.cancel()
        await eventually(lambda: not watch.is_alive(), 5.0, what="the thread has ended")

    assert watch.failure is None


async def test_a_broker_that_does_not_answer_keeps_no_process_from_ending(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        script = tmp_path / "watch.py"
        script.write_text(WATCH.format(port=port))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(script),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
        )
        cancelled_at, _ = await asyncio.wait_for(process.communicate(), 30)
        seconds = time.time() - float(cancelled_at)

    assert process.returncode == 0
    assert seconds < END_SECONDS


def test_where_dealing_anew_does_not_help_it_is_done_ever_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch, looks = OwnerWatch("127.0.0.1:1", "g", ["t"], lambda: True), 0
    dealt: list[int] = []
    monkeypatch.setattr(watch, "unowned", lambda: frozenset({PartitionKey("t", 0)}))
    monkeypatch.setattr(watch, "deal_anew", lambda: dealt.append(looks))

    for looks in range(1, 40):  # noqa: B007  the patched method reads it
        watch.look()

    assert dealt == [2, 6, 14, 30]


def test_partitions_that_are_unowned_for_a_moment_each_are_not_dealt_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch, dealt = OwnerWatch("127.0.0.1:1", "g", ["t"], lambda: True), []
    seen = iter([{0}, {1}, set(), {2}, set()])
    monkeypatch.setattr(
        watch, "unowned", lambda: frozenset(PartitionKey("t", n) for n in next(seen))
    )
    monkeypatch.setattr(watch, "deal_anew", lambda: dealt.append(True))

    for _ in range(5):
        watch.look()

    assert dealt == []


async def test_a_group_that_owns_all_is_left_in_peace(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    group, topic = unique("group"), new_topic(servers.kafka_url, PARTITIONS)
    watch, dealt = watch_of(servers, group, topic), []
    monkeypatch.setattr(watch, "deal_anew", lambda: dealt.append(True))
    member = Member(servers, group, topic, "1")
    poll_until(lambda: member.poll() and len(member.owned) == PARTITIONS)
    assert watch.unowned() == frozenset()

    for _ in range(3):
        watch.look()

    assert dealt == []
    member.close()


def test_what_a_member_owns_is_read_as_the_protocol_has_it() -> None:
    written = (
        b"\0\3" + b"\0\0\0\2"
        b"\0\1a" + b"\0\0\0\2" + b"\0\0\0\1" + b"\0\0\0\7"
        b"\0\2bc" + b"\0\0\0\1" + b"\0\0\0\0"
        b"\xff\xff\xff\xff"
    )

    assert owned_by(written) == {
        PartitionKey("a", 1),
        PartitionKey("a", 7),
        PartitionKey("bc", 0),
    }
    assert owned_by(b"") == set()


def test_a_group_that_nobody_has_joined_yet_is_left_in_peace(servers: Servers) -> None:
    watch = watch_of(servers, unique("group"), new_topic(servers.kafka_url))

    assert watch.unowned() == frozenset()
