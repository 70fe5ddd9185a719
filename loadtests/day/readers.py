"""How far the services have read, by the offsets that their groups have stored."""

from collections.abc import Iterable
from typing import Any, Final

from confluent_kafka import Consumer, TopicPartition

from loadtests.day.kafka import consumer_settings
from shared.choreography import Service
from shared.identifiers import PartitionKey

ANSWER_SECONDS_MAX: Final = 5.0


class Readers:
    """Asks as each group without joining it.

    Not by AdminClient.list_consumer_group_offsets: librdkafka 2.16.0 aborts the process where the
    broker dies while that is under way.
    """

    def __init__(self, kafka_url: str) -> None:
        self._consumer_of: dict[Service, Any] = {
            service: Consumer(consumer_settings(kafka_url) | {"group.id": service.value})
            for service in Service
        }

    def stored(self, service: Service, places: Iterable[PartitionKey]) -> dict[PartitionKey, int]:
        """Give the offsets that a group has stored, negative where it has none.

        Blocks; raises KafkaException while Kafka does not answer.
        """
        asked = [TopicPartition(*place) for place in places]
        found = self._consumer_of[service].committed(asked, timeout=ANSWER_SECONDS_MAX)
        return {PartitionKey(place.topic, place.partition): place.offset for place in found}

    def close(self) -> None:
        """Let go of the connections."""
        for consumer in self._consumer_of.values():
            consumer.close()
