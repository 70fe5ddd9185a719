"""What the simulated Kafka does under faults, as it was seen on a real one where that can be."""

from random import Random

import pytest
from confluent_kafka import TopicPartition

from services.simulation import group as group_members
from services.simulation.cluster import Cluster
from services.simulation.publisher import SimulatedPublisher
from services.simulation.scheduler import SECOND_US, Scheduler, Task, pause
from services.simulation.tests.contracts.kafka import (
    SESSION_SECONDS,
    SOURCE,
    LivingProcess,
    Member,
    SimulatedKafka,
)
from services.simulation.tests.contracts.test_kafka import row
from shared.errors import DeliveryFailedError, NotDeliveredError
from shared.identifiers import PartitionKey

FIRST = PartitionKey("one", 0)


@pytest.fixture
def kafka() -> SimulatedKafka:
    return SimulatedKafka(5)


def pass_seconds(kafka: SimulatedKafka, seconds: float) -> None:
    kafka.scheduler.run_until(kafka.scheduler.now_us + int(seconds * SECOND_US))


def frozen_and_thawed(kafka: SimulatedKafka, seconds: float) -> Member:
    """Give a member that has stood still for a while, and has not polled since."""
    kafka.append("one", ["a"])
    member = kafka.member("one", "1")
    kafka.until(lambda: bool(member.messages), member)
    kafka.cluster.freeze(kafka.processes[0])
    pass_seconds(kafka, seconds)
    kafka.cluster.thaw(kafka.processes[0])
    return member


def test_a_member_that_stood_still_for_less_than_its_session_has_what_it_had(
    kafka: SimulatedKafka,
) -> None:
    member = frozen_and_thawed(kafka, SESSION_SECONDS - 2)

    kafka.append("one", ["b"])
    kafka.until(lambda: member.values() == ["a", "b"], member)
    member.poll_for(2)

    assert kafka.told == [("1", "has", 0)]


def test_a_member_that_stood_still_too_long_reads_on_until_it_hears_that_it_has_lost_all(
    kafka: SimulatedKafka,
) -> None:
    member = frozen_and_thawed(kafka, SESSION_SECONDS + 1)

    kafka.append("one", ["b"])
    kafka.until(lambda: ("1", "gives up", 0) in kafka.told, member)
    assert member.values() == ["a", "b"]

    kafka.until(lambda: member.values() == ["a", "b", "a", "b"], member)
    assert kafka.told == [("1", "has", 0), ("1", "gives up", 0), ("1", "has", 0)]


def test_a_member_that_stood_still_too_long_takes_its_name_back_from_a_newcomer(
    kafka: SimulatedKafka,
) -> None:
    kafka.append("one", ["a"])
    first = kafka.member("one", "1")
    kafka.until(lambda: bool(first.messages), first)
    kafka.cluster.freeze(kafka.processes[0])
    pass_seconds(kafka, SESSION_SECONDS + 1)
    second = kafka.member("one", "1")
    kafka.until(lambda: bool(second.messages), second)

    kafka.cluster.thaw(kafka.processes[0])
    kafka.until(lambda: any(name == "_FATAL" for name, *_ in second.errors), first, second)

    kafka.until(lambda: first.values() == ["a", "a"], first)


def test_a_member_that_stood_still_for_a_moment_is_fenced_off_by_a_newcomer(
    kafka: SimulatedKafka,
) -> None:
    first = kafka.member("one", "1")
    kafka.until(lambda: bool(kafka.told), first)
    kafka.cluster.freeze(kafka.processes[0])
    pass_seconds(kafka, 1)
    second = kafka.member("one", "1")
    kafka.until(lambda: len(kafka.told) == 2, second)

    kafka.cluster.thaw(kafka.processes[0])
    kafka.until(lambda: any(name == "_FATAL" for name, *_ in first.errors), first, second)

    assert second.client.memberid()


def test_while_the_cluster_is_down_nothing_is_read_or_appended(kafka: SimulatedKafka) -> None:
    member = kafka.member("one", "1")
    kafka.until(lambda: bool(kafka.told), member)
    kafka.append("one", ["a"])
    kafka.cluster.is_down = True

    with pytest.raises(NotDeliveredError):
        kafka.append("one", ["b"])
    member.poll_for(3 * SESSION_SECONDS)
    assert member.values() == []

    kafka.cluster.is_down = False
    kafka.until(lambda: member.values() == ["a"], member)
    assert kafka.told == [("1", "has", 0)]


def test_partitions_of_equal_number_have_the_same_owner_only_now_and_then() -> None:
    are_equal = set()
    for seed in range(20):
        group = Cluster(Scheduler(calls_max=100), Random(seed), {"one": 1, "two": 1}).group("group")
        members = [
            group_members.Member(LivingProcess(), name, ["one", "two"], SECOND_US, lambda: None)
            for name in "12"
        ]
        for member in members:
            group.join(member)
        are_equal.add(len(group.claim(members[0])) != 1)
    assert are_equal == {True, False}


def test_the_order_in_which_partitions_are_resumed_makes_no_difference() -> None:
    histories = []
    for order in ((0, 1), (1, 0)):
        kafka = SimulatedKafka(5)
        member = kafka.member("two")
        member.poll_for(3)
        partitions = [TopicPartition("two", number) for number in order]
        member.client.pause(partitions)
        for number in (0, 1):
            kafka.append("two", [f"{number}a", f"{number}b"], partition=number)
        pass_seconds(kafka, 1)
        member.client.resume(partitions)
        member.poll_for(1)
        histories.append(member.values())

    assert sorted(histories[0], key=str) == ["0a", "0b", "1a", "1b"]
    assert histories[0] == histories[1]


def test_retention_is_out_of_the_readers_sight_and_not_of_the_checkers(
    kafka: SimulatedKafka,
) -> None:
    kafka.append("one", ["a", "b", "c"])
    kafka.forget("one", 2)

    assert (kafka.cluster.begin(FIRST), kafka.cluster.end(FIRST)) == (2, 3)
    assert [record.value() for record in kafka.cluster.records("one")] == [b"a", b"b", b"c"]
    assert kafka.cluster.ends(["one", "two"]) == {FIRST: 3}


class FailingProcess(LivingProcess):
    """A process whose connection breaks at one of its awaits."""

    def __init__(self, breaks_at: int) -> None:
        self._left = breaks_at

    async def reach(self, _point: str) -> None:
        await pause(500)
        self._left -= 1
        if self._left < 0:
            raise ConnectionResetError


@pytest.mark.parametrize(("breaks_at", "appended"), [(0, 0), (2, 2), (3, 3)])
def test_a_connection_that_breaks_leaves_a_beginning_published_and_says_that_it_failed(
    breaks_at: int, appended: int
) -> None:
    scheduler = Scheduler(calls_max=1_000)
    cluster = Cluster(scheduler, Random(1), {"one": 1})
    publisher = SimulatedPublisher(cluster, FailingProcess(breaks_at), SOURCE)
    publisher.send([row("one", number, "S") for number in range(3)])

    task = Task(scheduler, publisher.flush())
    scheduler.run_until(SECOND_US)

    assert cluster.end(FIRST) == appended
    with pytest.raises(DeliveryFailedError):
        task.done.result()


def test_what_is_not_delivered_while_the_cluster_is_down_is_delivered_by_a_later_flush() -> None:
    scheduler = Scheduler(calls_max=1_000)
    cluster = Cluster(scheduler, Random(1), {"one": 1})
    publisher = SimulatedPublisher(cluster, LivingProcess(), SOURCE)
    publisher.send([row("one", number, "S") for number in range(3)])
    cluster.is_down = True

    task = Task(scheduler, publisher.flush())
    scheduler.run_until(2 * SECOND_US)
    with pytest.raises(NotDeliveredError):
        task.done.result()
    cluster.is_down = False
    task = Task(scheduler, publisher.flush())
    scheduler.run_until(3 * SECOND_US)

    task.done.result()
    assert [record.value() for record in cluster.records("one")] == [b"0", b"1", b"2"]
