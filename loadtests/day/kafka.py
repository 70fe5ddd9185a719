"""How this client talks to Kafka: its settings, a topic's partitions and ends, its one error."""

from collections.abc import Mapping
from time import monotonic, sleep
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place

from shared.errors import EnrollmentSystemError
from shared.identifiers import PartitionKey

ANSWER_SECONDS_MAX: Final = 5.0
ASK_AGAIN_SECONDS: Final = 0.05
# A topic that was made a moment ago, or whose broker has just come back, has no leader for a while.
LEADERLESS: Final = frozenset(
    {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE}
)
SOURCE: Final = "/loadtests/day"

Settings = dict[str, Any]


class DayError(EnrollmentSystemError):
    """A day cannot go on; the text says what to do."""


def consumer_settings(kafka_url: str) -> Settings:
    """Read by assignment alone: no group is joined and no offset stored."""
    return {
        "bootstrap.servers": kafka_url,
        "group.id": "day",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "fetch.queue.backoff.ms": 10,
        "log_level": 0,
    }


def producer_settings(kafka_url: str) -> Settings:
    """Lose nothing, keep the order, and choose partitions as Java does."""
    return {
        "bootstrap.servers": kafka_url,
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "linger.ms": 5,
        "message.timeout.ms": 60_000,
        "log_level": 0,
    }


def partitions_of(client: Any, topic: str) -> list[int]:
    """List a topic's partitions."""
    try:
        found = client.list_topics(topic, timeout=ANSWER_SECONDS_MAX).topics[topic]
    except KafkaException as error:
        raise DayError(f"Kafka does not answer ({error}): see `enroll status`") from error
    if found.error is not None:
        raise DayError(f"Kafka has no topic {topic} ({found.error}): start the services first")
    return sorted(found.partitions)


def end_offsets(consumer: Any, topic: str) -> Mapping[PartitionKey, int]:
    """Give the end that each partition of a topic has now."""
    return {
        PartitionKey(topic, number): _end_offset(consumer, Place(topic, number))
        for number in partitions_of(consumer, topic)
    }


def _end_offset(consumer: Any, place: Place) -> int:
    deadline = monotonic() + ANSWER_SECONDS_MAX
    while True:
        try:
            _, end = consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS_MAX)
        except KafkaException as error:
            is_leaderless = error.args[0].code() in LEADERLESS
            if not is_leaderless or monotonic() > deadline:
                raise DayError(f"Kafka does not tell the end of {place.topic} ({error})") from error
            sleep(ASK_AGAIN_SECONDS)
        else:
            return int(end)


def raise_if_failed(record: Any) -> None:
    """Raise what the client hands over in place of a record, unless it mends that itself."""
    error = record.error()
    if error is not None and not error.retriable():
        raise DayError(f"reading {record.topic()} failed ({error}): see `enroll status`")
