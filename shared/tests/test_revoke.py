"""Read-ahead and revocation in turns that no real broker can be made to take: a played client."""

from collections.abc import Callable, Iterable
from concurrent import futures
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from shared.consumer import BatchConsumer
from shared.identifiers import PartitionKey
from shared.message import Interest, Move

FIRST, SECOND = PartitionKey("t", 0), PartitionKey("t", 1)


class Sent:
    """A message as the client gives it."""

    def __init__(self, key: PartitionKey, offset: int) -> None:
        self._key, self._offset = key, offset

    def topic(self) -> str:
        return self._key.topic

    def partition(self) -> int:
        return self._key.partition

    def offset(self) -> int:
        return self._offset

    def headers(self) -> Any:
        return []

    def error(self) -> None:
        return None

    def key(self) -> bytes:
        return b"key"

    def value(self) -> bytes:
        return b"value"


class Client:
    """Each poll brings the next of the script: messages, or a rebalance; the end stops it all."""

    def __init__(self, *script: list[Sent] | Callable[["Client"], None]) -> None:
        self._script = list(script)
        self._more: list[Sent] = []
        self.stop: Callable[[], None] = lambda: None

    def subscribe(self, _topics: Any, on_assign: Any, on_revoke: Any, **_rest: Any) -> None:
        self._on_assign, self._on_revoke = on_assign, on_revoke

    def assign(self, *keys: PartitionKey) -> None:
        self._on_assign(self, [TopicPartition(*key) for key in keys])

    def revoke(self, *keys: PartitionKey) -> None:
        self._on_revoke(self, [TopicPartition(*key) for key in keys])

    def poll(self, _seconds: float) -> Sent | None:
        if not self._script:
            self.stop()
            return None
        following = self._script.pop(0)
        if callable(following):
            following(self)
            return None
        first, *self._more = following
        return first

    def consume(self, _count: int, _seconds: float) -> list[Sent]:
        more, self._more = self._more, []
        return more

    def get_watermark_offsets(self, _partition: TopicPartition, **_options: Any) -> tuple[int, int]:
        return 0, 0

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_args, **_options: None  # pausing, assigning, storing, closing


class Work:
    """A batch at work: done at once, or only by being cancelled."""

    def __init__(self, *, is_long: bool) -> None:
        self._is_over = not is_long
        self._is_cancelled = False

    def cancel(self) -> None:
        self._is_over = self._is_cancelled = True

    def end(self) -> None:
        self._is_over = True

    def wait(self, _seconds: float) -> bool:
        return self._is_over

    def result(self) -> None:
        if self._is_cancelled:
            raise futures.CancelledError


class Desk:
    """Notes the batches; the database's offsets stand at the beginning."""

    def __init__(self, *, first_is_long: bool = False) -> None:
        self._first_is_long = first_is_long
        self.batches: list[Any] = []
        self.works: list[Work] = []

    def start(self, batch: Any) -> Work:
        self.batches.append(batch)
        self.works.append(Work(is_long=self._first_is_long and len(self.batches) == 1))
        return self.works[-1]

    def read_offsets(self) -> dict[PartitionKey, int]:
        return {}

    def closed_topics(self) -> frozenset[str]:
        return frozenset()


class WithoutDatabase(Desk):
    """Cannot tell the offsets."""

    def read_offsets(self) -> dict[PartitionKey, int]:
        raise ConnectionError


def read(client: Client, desk: Desk) -> BatchConsumer:
    """Let a consumer read to the end of the script."""
    consumer = BatchConsumer(
        {},
        ["t"],
        desk,
        interest_in=lambda _topic, _headers: Interest.NOW,
        batch_size_max=100,
        interval_seconds_max=0.0,
        new_client=lambda _settings: client,
    )
    client.stop = consumer.stop
    consumer.run()
    assert consumer.failure is None
    return consumer


class Log:
    """A client that notes what is assigned, and from which offset."""

    def __init__(self, *script: list[Sent] | Callable[[Client], None]) -> None:
        self.client = Client(*script)
        self.assigned: list[tuple[int, int]] = []
        self.client.__dict__["incremental_assign"] = self._assign

    def _assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned += [(one.partition, one.offset) for one in partitions]


def places(messages: Iterable[Any]) -> list[tuple[int, int]]:
    return [(message.partition, message.offset) for message in messages]


def both(client: Client) -> None:
    client.assign(FIRST, SECOND)


@pytest.mark.parametrize("comes_back", [True, False])
def test_what_was_read_ahead_of_a_dropped_batch_is_not_decided_before_it(
    comes_back: bool,
) -> None:
    def revoke(client: Client) -> None:
        client.revoke(SECOND)
        if comes_back:
            client.assign(SECOND)

    desk = Desk(first_is_long=True)
    again = [Sent(FIRST, 0), Sent(FIRST, 1)]
    client = Client(both, [Sent(FIRST, 0), Sent(SECOND, 0)], [Sent(FIRST, 1)], revoke, again)

    read(client, desk)

    dropped, second = desk.batches
    assert places(dropped.messages) == [(0, 0), (1, 0)]
    assert places(second.messages) == [(0, 0), (0, 1)]
    assert second.moves == {FIRST: Move(0, 2)}


def test_what_was_read_ahead_of_a_revoked_partition_is_gone_when_it_comes_back() -> None:
    def revoke_and_assign(client: Client) -> None:
        client.revoke(FIRST)
        client.assign(FIRST)

    desk = Desk(first_is_long=True)
    again = [Sent(FIRST, 0), Sent(FIRST, 1)]
    client = Client(both, [Sent(FIRST, 0)], [Sent(FIRST, 1)], revoke_and_assign, again)

    read(client, desk)

    assert [places(batch.messages) for batch in desk.batches] == [[(0, 0)], [(0, 0), (0, 1)]]


def test_a_partition_waits_for_its_place_where_the_client_has_to_ask_nobody() -> None:
    log = Log(both, [Sent(FIRST, 0)])

    read(log.client, Desk())

    waiting, placed = [(0, 0), (1, 0)], [(0, OFFSET_BEGINNING), (1, OFFSET_BEGINNING)]
    assert log.assigned == waiting + placed


@pytest.mark.parametrize("desk", [Desk(), WithoutDatabase()])
def test_a_partition_is_owned_from_its_assignment_also_while_the_database_is_away(
    desk: Desk,
) -> None:
    consumer = read(Client(both), desk)

    assert consumer.owned_count() == 2
