"""Waits until the services have applied what the catalogs say."""

from collections.abc import Collection, Mapping
from time import monotonic, sleep
from typing import Final

from confluent_kafka import Consumer, KafkaException

from loadtests.day.catalogs import CATALOGS
from loadtests.day.kafka import DayError, consumer_settings, end_offsets
from loadtests.day.readers import Readers
from shared.choreography import Service, subscriptions
from shared.identifiers import PartitionKey

ASK_AGAIN_SECONDS: Final = 0.1


def wait_until_applied(kafka_url: str, new: Collection[PartitionKey], seconds_max: float) -> None:
    """Return when every service that reads the catalogs has read them to the end they have now.

    A partition that got nothing `new` is waited for only where its reader has stored an offset:
    Kafka forgets the offsets of a group that was down for long.
    """
    ends = _ends(kafka_url)
    readers = Readers(kafka_url)
    deadline = monotonic() + seconds_max
    try:
        while late := _late_readers(readers, ends, new):
            if monotonic() > deadline:
                raise DayError(
                    f"{' and '.join(late)} did not apply the catalogs within {seconds_max:.0f} s: "
                    "see `enroll status`, mend what is not ready, and repeat"
                )
            sleep(ASK_AGAIN_SECONDS)
    finally:
        readers.close()


def _ends(kafka_url: str) -> dict[PartitionKey, int]:
    consumer = Consumer(consumer_settings(kafka_url))
    try:
        return {k: v for topic in CATALOGS for k, v in end_offsets(consumer, topic.name).items()}
    finally:
        consumer.close()


def _late_readers(
    readers: Readers, ends: Mapping[PartitionKey, int], new: Collection[PartitionKey]
) -> list[str]:
    late = []
    for service in Service:
        topics = {topic.name for topic in CATALOGS if topic in subscriptions(service)}
        read = {place: end for place, end in ends.items() if place.topic in topics}
        if read and _is_late(readers, service, read, new):
            late.append(service.value)
    return late


def _is_late(
    readers: Readers,
    service: Service,
    read: Mapping[PartitionKey, int],
    new: Collection[PartitionKey],
) -> bool:
    try:
        stored = readers.stored(service, read)
    except KafkaException:
        return True
    return any(is_behind(stored[place], read[place], place in new) for place in read)


def is_behind(stored: int, end: int, is_new: bool) -> bool:
    """Tell whether a reader has yet to come to the end of a partition."""
    return is_new if stored < 0 else stored < end
