"""The producer on a real broker: headers, partitions, and what it says of a delivery."""

from collections.abc import Sequence

import pytest

from shared.errors import DeliveryFailedError, NotDeliveredError
from shared.identifiers import new_event_id
from shared.outbox import OutboxRow
from shared.producer import BatchProducer, producer_settings
from shared.tests.machinery import NOW, TRACEPARENT, Servers, eventually, new_topic, read_topic

# From the tests of Kafka's own Java client: a key, and its murmur2 hash.
JAVA_HASHES = {
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
}


def row(
    topic: str, number: int, key: str = "S1", traceparent: str | None = TRACEPARENT
) -> OutboxRow:
    return OutboxRow(
        id=number,
        event_id=new_event_id(),
        event_type="StudentValidated",
        topic=topic,
        key=key,
        subject=f"enrollment-{number}",
        occurred_at=NOW,
        traceparent=traceparent,
        body=f"body-{number}".encode(),
    )


async def deliver(producer: BatchProducer, rows: Sequence[OutboxRow]) -> None:
    """Send once, and wait as the relay does."""
    producer.send(rows)
    for _ in range(20):
        try:
            return await producer.flush()
        except NotDeliveredError:
            continue
    raise AssertionError("not delivered")


async def test_an_event_goes_out_as_a_cloud_event_with_the_trace_of_its_row(
    servers: Servers,
) -> None:
    topic = new_topic(servers.kafka_url)
    producer = BatchProducer(servers.kafka_url, "/services/test")
    sent, bare = row(topic, 1), row(topic, 2, traceparent=None)

    await deliver(producer, [sent, bare])

    first, second = read_topic(servers.kafka_url, topic)
    assert (first.key(), first.value()) == (b"S1", b"body-1")
    assert first.headers() == [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(sent.event_id).encode()),
        ("ce_type", b"StudentValidated"),
        ("ce_source", b"/services/test"),
        ("ce_subject", b"enrollment-1"),
        ("ce_time", b"2026-03-01T12:00:00+00:00"),
        ("content-type", b"application/json"),
        ("traceparent", TRACEPARENT.encode()),
    ]
    assert "traceparent" not in dict(second.headers() or [])


async def test_a_key_goes_to_the_partition_that_javas_clients_choose(servers: Servers) -> None:
    topic = new_topic(servers.kafka_url, partitions=4)
    producer = BatchProducer(servers.kafka_url, "/test")

    await deliver(producer, [row(topic, n, key) for n, key in enumerate(JAVA_HASHES)])

    found = {
        (message.key() or b"").decode(): message.partition()
        for message in read_topic(servers.kafka_url, topic)
    }
    assert found == {key: (hash_ & 0x7FFFFFFF) % 4 for key, hash_ in JAVA_HASHES.items()}


async def test_events_arrive_in_the_order_in_which_they_were_sent(servers: Servers) -> None:
    topic = new_topic(servers.kafka_url)
    producer = BatchProducer(servers.kafka_url, "/test")

    for first in range(0, 3000, 1000):
        await deliver(producer, [row(topic, number) for number in range(first, first + 1000)])

    bodies = [message.value() for message in read_topic(servers.kafka_url, topic)]
    assert bodies == [f"body-{number}".encode() for number in range(3000)]


def test_the_client_library_never_gives_an_event_up_by_itself_and_lets_younger_ones_pass() -> None:
    settings = producer_settings("127.0.0.1:1")

    assert settings["message.timeout.ms"] == 0
    assert settings["enable.idempotence"] is True
    assert settings["acks"] == "all"


async def test_without_a_broker_nothing_is_delivered_and_nothing_given_up() -> None:
    producer = BatchProducer("127.0.0.1:1", "/test")
    producer.send([row("nowhere", 1)])

    with pytest.raises(NotDeliveredError, match="1 events await"):
        await producer.flush()
    producer.abandon()

    with pytest.raises(DeliveryFailedError):  # as it was told to
        await producer.flush()


async def test_an_event_that_the_broker_refuses_for_good_is_said_to_have_failed(
    servers: Servers,
) -> None:
    topic = new_topic(servers.kafka_url, config={"max.message.bytes": "100"})
    producer = BatchProducer(servers.kafka_url, "/test")
    producer.send([row(topic, 1)])

    error: list[Exception] = []

    async def has_failed() -> bool:
        try:
            await producer.flush()
        except DeliveryFailedError as failure:
            error.append(failure)
        except NotDeliveredError:
            return False
        return True

    await eventually(has_failed)
    assert len(error) == 1
