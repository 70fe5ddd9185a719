"""The guide's example programs, run as they stand there, against the running saga."""

import asyncio
import os
import subprocess
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from confluent_kafka import Consumer, TopicPartition

from deploy.local.kafka import jars_directory
from loadtests.day.kafka import consumer_settings, end_offsets
from schemas.tests.guide import SCHEMAS
from services.tests.saga.client import Saga, new_name
from shared.choreography import ENROLLMENT_EVENTS
from shared.topics import PARTITIONS

PROGRAMS = SCHEMAS / "integrating"
# CRC32, by which librdkafka would go by itself, gives her another partition than Java does.
STUDENT = "integrating-1"
SILENCE_SECONDS = "4"
# What kafka-clients brings along for what is used here: the services write lz4.
CLASSPATH = ("kafka-clients", "lz4-java", "slf4j")
NOBODY = "127.0.0.1:1"
SAID = "Kafka did not confirm it: "

Ended = subprocess.CompletedProcess[str]


async def python(program: str, *arguments: str, **environment: str) -> Ended:
    return await run([sys.executable, str(PROGRAMS / program), *arguments], environment)


async def java(program: str, *arguments: str, **environment: str) -> Ended:
    jars = [str(jar) for name in CLASSPATH for jar in jars_named(name)]
    command = ["java", "-cp", os.pathsep.join(jars), str(PROGRAMS / program)]
    return await run([*command, *arguments], environment)


def jars_named(name: str) -> list[Path]:
    return sorted(jars_directory().glob(f"{name}-*.jar"))


async def run(command: list[str], environment: Mapping[str, str]) -> Ended:
    return await asyncio.to_thread(
        subprocess.run,
        command,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def is_read_to_the_end(saga: Saga, group: str) -> bool:
    """Tell whether the group has committed all of the topic of outcomes."""
    consumer = Consumer(consumer_settings(saga.kafka_url) | {"group.id": group})
    try:
        ends = end_offsets(consumer, ENROLLMENT_EVENTS.name)
        places = consumer.committed([TopicPartition(*place) for place in ends], timeout=10)
    finally:
        consumer.close()
    both = zip(places, ends.values(), strict=True)
    return all(place.offset == end for place, end in both if end > 0)


async def test_what_is_published_in_one_language_is_read_in_the_other(saga: Saga) -> None:
    term = new_name("term")
    await saga.publish_catalogs(term, {"A": 1, "full": 0}, [STUDENT])
    of_python, of_java = uuid4(), uuid4()
    groups = [new_name("outcomes"), new_name("outcomes")]

    published = await asyncio.gather(
        python("publish_request.py", saga.kafka_url, str(of_python), STUDENT, term, "A"),
        java("PublishRequest.java", saga.kafka_url, str(of_java), STUDENT, term, "full"),
    )
    states = await saga.states_of([of_python, of_java])
    await saga.rest()
    by_python, by_java = await asyncio.gather(
        python("read_outcomes.py", saga.kafka_url, groups[0], SILENCE_SECONDS),
        java("ReadOutcomes.java", saga.kafka_url, groups[1], SILENCE_SECONDS),
    )

    assert states == ["confirmed", "rejected"]
    partitions = {one.stdout.split(" at offset ")[0] for one in published}
    assert partitions == {f"published to partition {saga.events_of(of_java)[0].partition}"}
    assert partitions != {f"published to partition {zlib.crc32(STUDENT.encode()) % PARTITIONS}"}
    full = "section_full (Section full has no free seat.)"
    assert f"{of_java} EnrollmentRejected {full}" in by_python.stdout.splitlines()
    confirmed = f'EnrollmentConfirmed {{"enrollment_id":"{of_python}",'
    assert by_java.stdout.count(confirmed) == 1
    assert [is_read_to_the_end(saga, group) for group in groups] == [True, True]


async def test_a_publisher_that_reaches_no_kafka_says_so_and_fails() -> None:
    asked = (NOBODY, str(uuid4()), STUDENT, "term", "A")

    ended = await asyncio.gather(
        python("publish_request.py", *asked, TIMEOUT_MS="1000"),
        java("PublishRequest.java", *asked, TIMEOUT_MS="1000"),
    )

    for one in ended:
        assert one.returncode == 1
        assert one.stdout == ""
        assert SAID in one.stderr
        assert " Send the same again; it is harmless." in one.stderr
