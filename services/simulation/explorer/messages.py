"""Gives every distinct message a number, and reads each only once."""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple
from uuid import UUID

from services.simulation.oracle import short
from shared.choreography import TOPICS, Service, subscriptions
from shared.codec import decode, raw_headers
from shared.events import Event
from shared.identifiers import EnrollmentId, PartitionKey, StudentId
from shared.message import Arrival, Headers, Message, Unreadable
from shared.outbox import OutboxRow
from shared.producer import headers_of_row

SOURCE: Final = "/services/explored"
READERS: Final[Mapping[str, tuple[Service, ...]]] = {
    topic.name: tuple(service for service in Service if topic in subscriptions(service))
    for topic in TOPICS
}


class Sent(NamedTuple):
    """A message as somebody sends it; `tells` says what it is, and `means` what is asked for."""

    topic: str
    key: str
    value: bytes | None
    headers: Headers
    tells: str
    means: Event | None = None  # known without reading it


class Messages:
    """All messages of a configuration: a message's number is its offset, and tells it apart."""

    def __init__(
        self, partitions: Mapping[StudentId, int], wanted: Mapping[Service, Collection[type[Event]]]
    ) -> None:
        self._partitions = partitions
        self._wanted = wanted
        self._numbers: dict[object, int] = {}
        self.read: list[dict[Service, Arrival | Unreadable]] = []  # by those who react to it
        self.tells: list[str] = []
        self.partition_keys: list[PartitionKey] = []

    def partition_of(self, topic: str, key: str) -> PartitionKey:
        """Tell where a key goes; a catalog has one partition."""
        return PartitionKey(topic, self._partitions.get(StudentId(key), 0))

    def of_outside(self, message: Sent, place: tuple[int, int]) -> int:
        """Number what somebody outside sends; the same sent twice is two messages."""
        return self._number(message, place)

    def of_row(self, row: OutboxRow) -> int:
        """Number an event that is published; published twice, it is the same message."""
        headers = raw_headers(headers_of_row(row, SOURCE))
        return self._number(Sent(row.topic, row.key, row.body, headers, _describe(row)))

    def _number(self, sent: Sent, place: tuple[int, int] | None = None) -> int:
        number = self._numbers.setdefault((sent, place), len(self.read))
        if number == len(self.read):
            where = self.partition_of(sent.topic, sent.key)
            message = Message(
                sent.topic, where.partition, number, sent.key.encode(), sent.value, sent.headers
            )
            found = {s: decode(message, self._wanted[s]) for s in READERS[sent.topic]}
            self.read.append({s: one for s, one in found.items() if one is not None})
            self.partition_keys.append(where)
            self.tells.append(sent.tells)
        return number


def _describe(row: OutboxRow) -> str:
    return f"{row.event_type} of {short(EnrollmentId(UUID(row.subject)))}"
