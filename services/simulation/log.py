"""One partition in memory: its records, how far they can be read, and who reads them."""

from typing import Protocol

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE

from shared.identifiers import PartitionKey
from shared.message import Headers


class Record:
    """A record as it lies in its log, and as a client gives it."""

    __slots__ = ("_headers", "_key", "_offset", "_partition_key", "_value")

    def __init__(
        self,
        partition_key: PartitionKey,
        offset: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
    ) -> None:
        self._partition_key = partition_key
        self._offset = offset
        self._key = key
        self._value = value
        self._headers = headers

    def topic(self) -> str:
        """Name its topic."""
        return self._partition_key[0]

    def partition(self) -> int:
        """Name its partition."""
        return self._partition_key[1]

    def offset(self) -> int:
        """Give its place in the partition."""
        return self._offset

    def key(self) -> bytes | None:
        """Give its key."""
        return self._key

    def value(self) -> bytes | None:
        """Give its value; None is a tombstone."""
        return self._value

    def headers(self) -> Headers | None:
        """Give its headers; None where there is none."""
        return self._headers or None

    def set_headers(self, headers: Headers) -> None:
        """Replace its headers."""
        self._headers = headers

    def timestamp(self) -> tuple[int, int]:
        """Tell that nobody knows when it came: no service of the saga asks."""
        return TIMESTAMP_NOT_AVAILABLE, 0

    def error(self) -> None:
        """Say that it is no error: those come as messages, too."""
        return


class Reader(Protocol):
    """Who reads a log."""

    def arrive(self) -> None:
        """Learn that one more record can be read."""


class Log:
    """A partition; `readable` is its end as readers see it, and the index of a record its offset.

    What retention has taken stays in `records`, for whoever checks a history.
    """

    __slots__ = ("begin", "key", "readable", "readable_at_us", "readers", "records")

    def __init__(self, key: PartitionKey) -> None:
        self.key = key
        self.records: list[Record] = []
        self.begin = 0
        self.readable = 0
        self.readable_at_us = 0  # the youngest record
        self.readers: list[Reader] = []

    def show_next(self) -> None:
        """Let one more record be read."""
        self.readable += 1
        for reader in self.readers:
            reader.arrive()
