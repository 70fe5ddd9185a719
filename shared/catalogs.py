"""Reads the catalogs first: requests and events wait until the entries of the start are applied."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from shared.choreography import Topic
from shared.gates import Gates
from shared.identifiers import PartitionKey
from shared.retry import is_transient_database_error

LOGGER: Final = logging.getLogger(__name__)
REASON: Final = "catalogs"
TIMEOUT_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.05
PROBE_SECONDS: Final = 1.0

ReadOffsets = Callable[[], Awaitable[dict[PartitionKey, int]]]


def close_until_read(gates: Gates, topics: Sequence[Topic]) -> None:
    """Close every topic that is no catalog, where there is a catalog to be read first."""
    if any(topic.is_catalog for topic in topics):
        gates.close(REASON, [topic.name for topic in topics if not topic.is_catalog])


async def open_when_read(
    gates: Gates, topics: Sequence[Topic], bootstrap_servers: str, read_offsets: ReadOffsets
) -> None:
    """Open the gate once the database has the catalogs as they were when this was called.

    Whichever process of the service reads them: their entries are in the database of all.
    """
    if not gates.is_closed_for(REASON):
        return
    names = [topic.name for topic in topics if topic.is_catalog]
    ends = await _ends(names, bootstrap_servers)
    while not await _are_read_by_now(ends, read_offsets):
        await asyncio.sleep(POLL_SECONDS)
    gates.open(REASON)


async def _are_read_by_now(ends: dict[PartitionKey, int], read_offsets: ReadOffsets) -> bool:
    try:
        offsets = await read_offsets()
    except Exception as error:
        if not is_transient_database_error(error):
            raise
        await asyncio.sleep(PROBE_SECONDS)
        return False
    return are_read(ends, offsets)


def are_read(ends: Mapping[PartitionKey, int], offsets: Mapping[PartitionKey, int]) -> bool:
    """Tell whether the database has everything up to these ends."""
    return all(offsets.get(key, 0) >= end for key, end in ends.items())


async def _ends(topics: Sequence[str], bootstrap_servers: str) -> dict[PartitionKey, int]:
    while True:
        try:
            return await asyncio.to_thread(read_ends, topics, bootstrap_servers)
        except KafkaException as error:
            LOGGER.warning("the catalogs' ends wait for Kafka: %s", error)
            await asyncio.sleep(PROBE_SECONDS)


def read_ends(topics: Sequence[str], bootstrap_servers: str) -> dict[PartitionKey, int]:
    """Read where each partition ends; empty ones, and those emptied, count as read. Blocks."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": "ends", "log_level": 2}
    )
    try:
        ends = {}
        for topic in topics:
            metadata = consumer.list_topics(topic, timeout=TIMEOUT_SECONDS).topics[topic]
            if metadata.error is not None:
                raise KafkaException(metadata.error)
            for partition in metadata.partitions:
                low, high = consumer.get_watermark_offsets(
                    TopicPartition(topic, partition), timeout=TIMEOUT_SECONDS
                )
                if high > low:
                    ends[PartitionKey(topic, partition)] = high
        return ends
    finally:
        consumer.close()
