"""What the consumer and the relay rely on: shown on the real Kafka and on the simulated one."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka import KafkaException, TopicPartition

from services.simulation.tests.contracts.kafka import (
    QUIET_SECONDS,
    SESSION_SECONDS,
    Kafka,
    Member,
    RealKafka,
    SimulatedKafka,
)
from shared.identifiers import EventId, PartitionKey
from shared.outbox import OutboxRow


@pytest.fixture(params=["simulated-2", "simulated-3", "real"])
def kafka(request: Any) -> Iterator[Kafka]:
    kind, _, seed = request.param.partition("-")
    made = (
        SimulatedKafka(int(seed))
        if kind == "simulated"
        else RealKafka(request.getfixturevalue("servers").kafka_url)
    )
    yield made
    made.close()


def numbers(first: int, after: int) -> list[str | None]:
    return [str(number) for number in range(first, after)]


def until_read(kafka: Kafka, member: Member, values: list[str | None]) -> None:
    kafka.until(lambda: len(member.values()) >= len(values), member)
    assert member.values() == values


def partition(topic: str, offset: int = -1001) -> list[TopicPartition]:
    return [TopicPartition(topic, 0, offset)]


def test_a_partition_is_read_in_order_from_the_offset_that_it_was_assigned_at(
    kafka: Kafka,
) -> None:
    topic = kafka.topic()
    kafka.append(topic, numbers(0, 20))
    member = kafka.member(topic)
    member.starts[PartitionKey(topic, 0)] = 5

    until_read(kafka, member, numbers(5, 20))
    kafka.append(topic, numbers(20, 25))
    until_read(kafka, member, numbers(5, 25))

    assert [message.offset() for message in member.messages] == list(range(5, 25))
    assert member.client.memberid()
    assert member.client.get_watermark_offsets(TopicPartition(topic, 0), cached=True) == (0, 25)


def test_consume_gives_what_there_is_when_the_time_is_over(kafka: Kafka) -> None:
    topic = kafka.topic()
    member = kafka.member(topic)
    kafka.until(lambda: bool(kafka.told), member)
    kafka.append(topic, numbers(0, 10))

    found: list[Any] = []
    for _ in range(5):
        found += member.client.consume(4, 0.2)

    assert [m.value().decode() for m in found if m.error() is None] == numbers(0, 10)


def test_what_is_paused_gives_nothing_and_goes_on_where_it_stood(kafka: Kafka) -> None:
    topic = kafka.topic()
    kafka.append(topic, numbers(0, 10))
    member = kafka.member(topic)
    kafka.until(lambda: len(member.messages) == 3, member)

    member.client.pause(partition(topic))
    kafka.append(topic, numbers(10, 12))
    member.poll_for(QUIET_SECONDS)
    assert member.values() == numbers(0, 3)

    member.client.resume(partition(topic))
    until_read(kafka, member, numbers(0, 12))


def test_a_partition_that_is_given_up_paused_is_paused_when_it_comes_again(kafka: Kafka) -> None:
    topic = kafka.topic()
    kafka.append(topic, numbers(0, 3))
    member = kafka.member(topic)
    until_read(kafka, member, numbers(0, 3))

    member.client.pause(partition(topic))
    member.client.incremental_unassign(partition(topic))
    member.client.incremental_assign(partition(topic, 1))
    member.poll_for(QUIET_SECONDS)
    assert member.values() == numbers(0, 3)

    member.client.resume(partition(topic))
    until_read(kafka, member, [*numbers(0, 3), *numbers(1, 3)])


def test_each_end_is_told_of_once_and_again_after_a_pause(kafka: Kafka) -> None:
    topic = kafka.topic()
    member = kafka.member(topic)
    kafka.until(lambda: member.ends() == [0], member)

    kafka.append(topic, numbers(0, 2))
    kafka.until(lambda: len(member.ends()) == 2, member)
    member.poll_for(QUIET_SECONDS)
    assert member.ends() == [0, 2]

    member.client.pause(partition(topic))
    member.client.resume(partition(topic))
    kafka.until(lambda: len(member.ends()) == 3, member)
    assert member.ends() == [0, 2, 2]


@pytest.mark.parametrize("offset", [1, 99])
def test_an_offset_outside_the_log_is_an_error_and_stops_the_partition(
    kafka: Kafka, offset: int
) -> None:
    topic = kafka.topic()
    kafka.append(topic, numbers(0, 5))
    kafka.forget(topic, 3)
    member = kafka.member(topic)
    member.starts[PartitionKey(topic, 0)] = offset

    kafka.until(lambda: bool(member.errors), member)
    member.client.pause(partition(topic))
    member.client.resume(partition(topic))
    kafka.append(topic, numbers(5, 6))
    member.poll_for(QUIET_SECONDS)
    assert member.errors == [("_AUTO_OFFSET_RESET", topic, offset)]
    assert member.values() == []

    member.client.incremental_unassign(partition(topic))
    member.client.incremental_assign(partition(topic, 3))
    until_read(kafka, member, numbers(3, 6))


def test_the_beginning_is_where_retention_has_left_it(kafka: Kafka) -> None:
    topic = kafka.topic()
    kafka.append(topic, numbers(0, 5))
    kafka.forget(topic, 3)

    until_read(kafka, kafka.member(topic), numbers(3, 5))


def test_what_does_not_fit_the_assignment_is_refused(kafka: Kafka) -> None:
    topic = kafka.topic()
    member = kafka.member(topic)
    kafka.until(lambda: bool(kafka.told), member)

    with pytest.raises(KafkaException, match="_CONFLICT"):
        member.client.incremental_assign(partition(topic, 0))
    member.client.store_offsets(offsets=[])
    member.client.store_offsets(offsets=[*partition(topic, 0), TopicPartition(topic, 7, 0)])
    member.client.incremental_unassign(partition(topic))
    with pytest.raises(KafkaException, match="_INVALID_ARG"):
        member.client.incremental_unassign(partition(topic))
    with pytest.raises(KafkaException, match="_STATE"):
        member.client.store_offsets(offsets=partition(topic, 0))
    member.client.pause(partition(topic))
    member.client.resume(partition(topic))


def test_tombstones_and_headers_are_read_as_they_were_written(kafka: Kafka) -> None:
    topic = kafka.topic()
    kafka.append(topic, [None], headers=(("name", b"value"), ("empty", b""), ("name", b"again")))
    kafka.append(topic, ["bare"])
    member = kafka.member(topic)

    until_read(kafka, member, [None, "bare"])

    tombstone, bare = member.messages
    assert list(tombstone.headers()) == [("name", b"value"), ("empty", b""), ("name", b"again")]
    assert bare.headers() is None
    assert (bare.topic(), bare.partition(), bare.offset()) == (topic, 0, 1)
    assert isinstance(bare.key(), bytes)


def has_moved(kafka: Kafka) -> bool:
    return any(name != "1" and verb == "has" for name, verb, _ in kafka.told)


def until_moved_or_quiet(kafka: Kafka, members: list[Member]) -> None:
    until_seconds = kafka.now_seconds() + 4
    kafka.until(lambda: has_moved(kafka) or kafka.now_seconds() > until_seconds, *members)


def test_a_partition_moves_to_another_member_once_the_first_has_given_it_up(kafka: Kafka) -> None:
    topic = kafka.topic(2)
    one = kafka.member(topic, "1")
    kafka.until(lambda: len(kafka.told) == 2, one)
    members = [one]
    while len(members) < 9 and not has_moved(kafka):  # where owners are drawn, one may get none
        members.append(kafka.member(topic, f"{len(members) + 1}"))
        until_moved_or_quiet(kafka, members)
    assert has_moved(kafka)

    owners: dict[int, str] = {}
    for name, verb, number in kafka.told:
        if verb == "has":
            assert number not in owners, "two had it at once"
            owners[number] = name
        else:
            assert owners.pop(number) == name


def test_a_member_that_closes_gives_up_and_keeps_its_place_for_a_session(kafka: Kafka) -> None:
    topic = kafka.topic()
    kafka.append(topic, numbers(0, 3))
    one = kafka.member(topic, "1")
    until_read(kafka, one, numbers(0, 3))
    one.close()
    closed_seconds = kafka.now_seconds()
    assert kafka.told == [("1", "has", 0), ("1", "gives up", 0)]

    same = kafka.member(topic, "1")
    until_read(kafka, same, numbers(0, 3))
    assert kafka.now_seconds() < closed_seconds + SESSION_SECONDS / 2, "nobody was waited for"
    same.close()
    closed_seconds = kafka.now_seconds()

    other = kafka.member(topic, "2")
    until_read(kafka, other, numbers(0, 3))
    assert kafka.now_seconds() > closed_seconds + SESSION_SECONDS / 2


def test_a_newcomer_of_the_same_name_has_the_partitions_and_fences_the_first_off(
    kafka: Kafka,
) -> None:
    topic = kafka.topic()
    kafka.append(topic, numbers(0, 3))
    first = kafka.member(topic, "same")
    until_read(kafka, first, numbers(0, 3))
    first.errors.clear()

    second = kafka.member(topic, "same")
    until_read(kafka, second, numbers(0, 3))
    kafka.until(lambda: any(name == "_FATAL" for name, _, _ in first.errors), first, second)


def row(topic: str, number: int, key: str) -> OutboxRow:
    return OutboxRow(
        id=number,
        event_id=EventId(UUID(int=number)),
        event_type="EnrollmentOpened",
        topic=topic,
        key=key,
        subject=str(UUID(int=7)),
        occurred_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        body=str(number).encode(),
    )


def test_rows_are_published_in_order_with_the_headers_of_an_event(kafka: Kafka) -> None:
    topic = kafka.topic()
    kafka.publish([row(topic, number, f"S{number % 3}") for number in range(20)])
    member = kafka.member(topic)

    until_read(kafka, member, numbers(0, 20))

    first = member.messages[0]
    assert first.key() == b"S0"
    assert list(first.headers()) == [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(UUID(int=0)).encode()),
        ("ce_type", b"EnrollmentOpened"),
        ("ce_source", b"/services/test"),
        ("ce_subject", str(UUID(int=7)).encode()),
        ("ce_time", b"2026-03-01T12:00:00+00:00"),
        ("content-type", b"application/json"),
        ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ]


def test_keys_share_partitions_and_each_partition_keeps_their_order(kafka: Kafka) -> None:
    topic = kafka.topic(2)
    kafka.publish([row(topic, number, f"S{number % 5}") for number in range(40)])
    member = kafka.member(topic)

    kafka.until(lambda: len(member.messages) == 40, member)

    for key in range(5):
        mine = [m for m in member.messages if m.key() == f"S{key}".encode()]
        assert len({m.partition() for m in mine}) == 1
        assert [int(m.value()) for m in mine] == list(range(key, 40, 5))
