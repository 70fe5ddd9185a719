"""Faults that somebody makes in Kafka: in its topics, its settings, its groups."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # documented there
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from deploy.local import stack
from deploy.local.errors import StackError
from loadtests.auditor.topics import open_topics
from loadtests.chaos.recovery import wait_for
from loadtests.day.importing import publish, publish_and_wait
from loadtests.day.kafka import producer_settings
from loadtests.drills.faults import held
from loadtests.drills.in_databases import session
from loadtests.drills.scene import Scene
from services.cli.dead_letter_work import discard, find_letters
from shared.choreography import REQUESTS, STUDENT_CATALOG, Service, Topic, subscriptions
from shared.consumer_settings import consumer_settings
from shared.events import StudentPublished
from shared.identifiers import StudentId
from shared.letter_rows import ALL
from shared.unowned import OwnerWatch

ANSWER_SECONDS: Final = 30.0
SESSION_SECONDS: Final = 6.0  # the shortest that Kafka takes: a guest is gone so soon
POLL_SECONDS: Final = 0.05
JOIN_SECONDS_MAX: Final = 30.0
PARK_SECONDS_MAX: Final = 30.0
OPERATOR: Final = "drill"


def publish_many(scene: Scene, students: int) -> None:
    """Publish so many students whom nobody has heard of."""
    entries = [
        StudentPublished(version=1, student_id=StudentId(f"L{number:05}"), max_credits=1)
        for number in range(students)
    ]
    publish(scene.ground.kafka_url, entries)


@contextmanager
def closed_topic(scene: Scene, topic: Topic) -> Iterator[None]:
    """Have a topic take no message, however small."""
    with _changed(scene, topic, "max.message.bytes", "1", back=None):
        yield


@contextmanager
def _changed(
    scene: Scene, topic: Topic, name: str, value: str, *, back: str | None
) -> Iterator[None]:
    """Change a setting of a topic; `back` is what it was, None the broker's default."""
    _set(scene, topic, name, value)
    try:
        yield
    finally:
        _set(scene, topic, name, back)


def _set(scene: Scene, topic: Topic, name: str, value: str | None) -> None:
    how = AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET
    entry = ConfigEntry(name, value, incremental_operation=how)
    resource = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": scene.ground.kafka_url})
    [done] = admin.incremental_alter_configs([resource]).values()
    done.result(ANSWER_SECONDS)


@contextmanager
def garbage(scene: Scene) -> Iterator[None]:
    """Send what nobody can read; afterwards an operator gives it up."""
    producer = Producer(producer_settings(scene.ground.kafka_url))
    producer.produce(REQUESTS.name, b"this is no JSON", b"drill")
    if producer.flush(ANSWER_SECONDS):
        raise StackError("Kafka does not take a message")
    try:
        yield
    finally:
        if not wait_for(lambda: _discard_all(scene) > 0, PARK_SECONDS_MAX):
            raise StackError("what cannot be read was not parked")


def _discard_all(scene: Scene) -> int:
    return asyncio.run(_discard(scene, Service.ENROLLMENT))


async def _discard(scene: Scene, service: str) -> int:
    found = await find_letters(scene.target, service, ALL)
    for name, letter in found:
        await discard(scene.target, name, letter.id, None, OPERATOR)
    return len(found)


@contextmanager
def deleted_beyond(scene: Scene, service: Service) -> Iterator[None]:
    """Delete what a service has not read yet; afterwards do what the runbook's page says.

    These are students of whom it has heard before, so nothing is lost; they are published again.
    """
    kafka_url, entries = scene.ground.kafka_url, scene.load.campus.catalog()
    students = [one for one in entries if isinstance(one, StudentPublished)]
    with held(scene, service):
        publish(kafka_url, students)
        _delete_all(scene, STUDENT_CATALOG, 0)
    try:
        yield
    finally:
        with session(scene, service) as run:
            run(
                "DELETE FROM consumer_offset WHERE topic = $1 AND partition = 0",
                STUDENT_CATALOG.name,
            )
        stack.restart(scene.ground.state_dir, service)
        publish_and_wait(kafka_url, students)


def _delete_all(scene: Scene, topic: Topic, partition: int) -> None:
    """Delete all records of a partition."""
    with open_topics(scene.ground.kafka_url) as topics:
        end = topics.extents()[topic.name, partition].end
    # Of a topic that is only compacted, Kafka deletes nothing on demand.
    with _changed(scene, topic, "cleanup.policy", "delete", back="compact"):
        admin = AdminClient({"bootstrap.servers": scene.ground.kafka_url})
        [done] = admin.delete_records([TopicPartition(topic.name, partition, end)]).values()
        done.result(ANSWER_SECONDS)


@contextmanager
def half_dealt(scene: Scene, service: Service) -> Iterator[None]:
    """Join a service's group so that its rebalance loses the second half.

    One in the place of its process owns all, is asked to give up some, and never hears it; then
    its process comes back, and Kafka gives it what it had been left with.
    """
    kafka_url, topics = scene.ground.kafka_url, [one.name for one in subscriptions(service)]
    settings = consumer_settings(kafka_url, service, None, SESSION_SECONDS)
    watch = OwnerWatch(kafka_url, service, topics, lambda: True)
    with _closing(Consumer(settings)) as second:
        with held(scene, service), _deaf_member(kafka_url, service, topics):
            second.subscribe(topics)
            until_seconds = monotonic() + JOIN_SECONDS_MAX
            while not watch.unowned():
                second.poll(POLL_SECONDS)
                if monotonic() > until_seconds:
                    raise StackError("the group does not come to rest with half of it unowned")
        stack.start_one(scene.ground.state_dir, service)
        yield


@contextmanager
def _closing(consumer: Consumer) -> Iterator[Consumer]:
    try:
        yield consumer
    finally:
        consumer.close()


@contextmanager
def _deaf_member(kafka_url: str, service: str, topics: list[str]) -> Iterator[None]:
    """Have another process own all partitions in the place of a service's first one."""
    started = subprocess.Popen(
        [sys.executable, "-m", "loadtests.drills.deaf_member", kafka_url, service, *topics],
        stdout=subprocess.PIPE,
    )
    try:
        assert started.stdout is not None
        if not started.stdout.readline():
            raise StackError(f"nobody could take the place of {service} in its group")
        yield
    finally:
        started.kill()
        started.communicate()
