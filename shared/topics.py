"""Makes the topics of the choreography, each with the settings that its promises need."""

from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from shared.choreography import TOPICS, Topic

PARTITIONS: Final = 4
RETENTION_MS: Final = 7 * 24 * 3600 * 1000
TIMEOUT_SECONDS: Final = 30

# A producer's clock of 1970 would let a segment expire unread: the broker's clock counts.
LOG_APPEND_TIME: Final = {"message.timestamp.type": "LogAppendTime"}


def create_topics(bootstrap_servers: str, *, replication_factor: int = 1) -> None:
    """Make the topics that are missing; those that exist stay as they are. Blocks."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    wanted = [
        NewTopic(
            topic.name,
            num_partitions=PARTITIONS,
            replication_factor=replication_factor,
            config=_settings(topic),
        )
        for topic in TOPICS
    ]
    for future in admin.create_topics(wanted, operation_timeout=TIMEOUT_SECONDS).values():
        try:
            future.result(timeout=TIMEOUT_SECONDS)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def _settings(topic: Topic) -> dict[str, str]:
    if topic.is_catalog:
        retention = {"cleanup.policy": "compact", "delete.retention.ms": str(RETENTION_MS)}
    else:
        retention = {"cleanup.policy": "delete", "retention.ms": str(RETENTION_MS)}
    return LOG_APPEND_TIME | retention
