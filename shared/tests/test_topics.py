"""The topics have the settings that the promises of the choreography need."""

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from shared.choreography import REQUESTS, SECTION_CATALOG, STUDENT_CATALOG, TOPICS
from shared.tests.machinery import Servers
from shared.topics import PARTITIONS, create_topics

WEEK_MS = str(7 * 24 * 3600 * 1000)


def settings_of(kafka_url: str, topic: str) -> dict[str, str]:
    admin = AdminClient({"bootstrap.servers": kafka_url})
    resource = ConfigResource(ResourceType.TOPIC, topic)
    found = admin.describe_configs([resource])[resource].result(timeout=10)
    return {name: entry.value for name, entry in found.items()}


def test_making_the_topics_again_leaves_them_as_they_are(servers: Servers) -> None:
    create_topics(servers.kafka_url)
    create_topics(servers.kafka_url)

    admin = AdminClient({"bootstrap.servers": servers.kafka_url})
    found = admin.list_topics(timeout=10).topics
    assert {topic.name: PARTITIONS for topic in TOPICS} == {
        topic.name: len(found[topic.name].partitions) for topic in TOPICS
    }


def test_a_topic_of_the_saga_forgets_after_a_week_by_the_brokers_clock(servers: Servers) -> None:
    create_topics(servers.kafka_url)

    settings = settings_of(servers.kafka_url, REQUESTS.name)

    assert settings["cleanup.policy"] == "delete"
    assert settings["retention.ms"] == WEEK_MS
    assert settings["message.timestamp.type"] == "LogAppendTime"


def test_a_catalog_is_compacted_and_keeps_its_tombstones_for_a_week(servers: Servers) -> None:
    create_topics(servers.kafka_url)

    for topic in (SECTION_CATALOG, STUDENT_CATALOG):
        settings = settings_of(servers.kafka_url, topic.name)
        assert settings["cleanup.policy"] == "compact"
        assert settings["delete.retention.ms"] == WEEK_MS
