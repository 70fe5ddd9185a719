"""How many messages the services have yet to read, asked for without waiting."""

from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from loadtests.day.kafka import partitions_of
from shared.choreography import Service, subscriptions
from shared.identifiers import PartitionKey

ANSWER_SECONDS_MAX: Final = 5.0

END: Final[Any] = OffsetSpec.latest()  # type: ignore[no-untyped-call]


class Lag:
    """The last known lag of all services together; None until Kafka has answered once."""

    def __init__(self, kafka_url: str) -> None:
        self._admin: Any = AdminClient({"bootstrap.servers": kafka_url, "log_level": 0})
        self._places = {service: self._read_by(service) for service in Service}
        self._asked: tuple[Any, Any] | None = None
        self.messages: int | None = None

    def _read_by(self, service: Service) -> list[TopicPartition]:
        names = [topic.name for topic in subscriptions(service)]
        return [
            TopicPartition(t, number) for t in names for number in partitions_of(self._admin, t)
        ]

    def refresh(self) -> None:
        """Take the answer to the last question, if it has come, and ask the next."""
        if self._asked is None:
            self._asked = self._ask()
            return
        stored, ends = self._asked
        if not all(future.done() for future in [*stored.values(), *ends.values()]):
            return
        self._asked = self._ask()
        try:
            self.messages = self._sum(stored, ends)
        except KafkaException:
            self.messages = None

    def _ask(self) -> tuple[Any, Any]:
        stored = {
            service: self._admin.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(service.value, places)],
                request_timeout=ANSWER_SECONDS_MAX,
            )[service.value]
            for service, places in self._places.items()
        }
        everywhere = {(p.topic, p.partition): p for places in self._places.values() for p in places}
        asked = dict.fromkeys(everywhere.values(), END)
        return stored, self._admin.list_offsets(asked, request_timeout=ANSWER_SECONDS_MAX)

    def _sum(self, stored: Any, ends: Any) -> int:
        end_of = {PartitionKey(p.topic, p.partition): f.result().offset for p, f in ends.items()}
        return sum(behind(end_of, future.result().topic_partitions) for future in stored.values())


def behind(end_of: Mapping[PartitionKey, int], stored: Any) -> int:
    """Count the messages between what a group has stored and the ends."""
    return sum(
        max(0, end_of[PartitionKey(place.topic, place.partition)] - max(0, place.offset))
        for place in stored
    )
