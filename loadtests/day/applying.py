"""Waits until the services have applied what the catalogs say."""

from collections.abc import Collection, Iterable, Mapping
from time import monotonic, sleep
from typing import Any, Final

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from loadtests.day.catalogs import CATALOGS
from loadtests.day.kafka import DayError, consumer_settings, end_offsets
from shared.choreography import Service, subscriptions
from shared.identifiers import PartitionKey

ASK_AGAIN_SECONDS: Final = 0.1
ANSWER_SECONDS_MAX: Final = 5.0


def wait_until_applied(kafka_url: str, new: Collection[PartitionKey], seconds_max: float) -> None:
    """Return when every service that reads the catalogs has read them to the end they have now.

    A partition that got nothing `new` is waited for only where its reader has stored an offset:
    Kafka forgets the offsets of a group that was down for long.
    """
    ends = _ends(kafka_url)
    admin = AdminClient({"bootstrap.servers": kafka_url, "log_level": 0})
    deadline = monotonic() + seconds_max
    while late := _late_readers(admin, ends, new):
        if monotonic() > deadline:
            raise DayError(
                f"{' and '.join(late)} did not apply the catalogs within {seconds_max:.0f} s: "
                "see `enroll status`, mend what is not ready, and repeat"
            )
        sleep(ASK_AGAIN_SECONDS)


def _ends(kafka_url: str) -> dict[PartitionKey, int]:
    consumer = Consumer(consumer_settings(kafka_url))
    try:
        return {k: v for topic in CATALOGS for k, v in end_offsets(consumer, topic.name).items()}
    finally:
        consumer.close()


def _late_readers(
    admin: Any, ends: Mapping[PartitionKey, int], new: Collection[PartitionKey]
) -> list[str]:
    late = []
    for service in Service:
        topics = {topic.name for topic in CATALOGS if topic in subscriptions(service)}
        read = {place: end for place, end in ends.items() if place.topic in topics}
        stored = stored_offsets(admin, service.value, read) if read else {}
        if stored is None or any(is_behind(stored[p], read[p], p in new) for p in read):
            late.append(service.value)
    return late


def is_behind(stored: int, end: int, is_new: bool) -> bool:
    """Tell whether a reader has yet to come to the end of a partition."""
    return is_new if stored < 0 else stored < end


def stored_offsets(
    admin: Any, group: str, places: Iterable[PartitionKey]
) -> dict[PartitionKey, int] | None:
    """Give the offsets that a group has stored, negative where it has none.

    None while Kafka cannot tell.
    """
    asked = ConsumerGroupTopicPartitions(group, [TopicPartition(*place) for place in places])
    future = admin.list_consumer_group_offsets([asked])[group]
    try:
        found = future.result(ANSWER_SECONDS_MAX).topic_partitions
    except (KafkaException, TimeoutError):
        return None
    return {PartitionKey(f.topic, f.partition): f.offset for f in found}
