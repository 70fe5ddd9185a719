"""Reads records as the client gives them."""

from confluent_kafka import Message as Record

from shared.codec import logged_ms
from shared.identifiers import PartitionKey
from shared.message import Headers, Message


def key_of(record: Record) -> PartitionKey:
    """Name the partition that a record is of."""
    return PartitionKey(record.topic() or "", record.partition() or 0)


def message_of(record: Record, key: PartitionKey, offset: int, headers: Headers) -> Message:
    """Give a record as those read it who react to it."""
    value, logged = _bytes(record.value()), logged_ms(record)
    return Message(key.topic, key.partition, offset, _bytes(record.key()), value, headers, logged)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
