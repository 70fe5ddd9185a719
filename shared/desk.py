"""What the consumer's thread hands over to the event loop, and what it asks of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.identifiers import PartitionKey
from shared.message import Interest, Message, Move


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """Messages as read, in offset order within each partition, and how far they move it."""

    messages: Sequence[Message]
    moves: dict[PartitionKey, Move]


InterestIn = Callable[[str, Mapping[str, bytes]], Interest]  # in an event, by topic and headers


class Run(Protocol):
    """A batch at work on the event loop; called from the consumer's thread."""

    def cancel(self) -> None:
        """Ask for a rollback; `wait` tells when it is over."""

    def wait(self, seconds: float) -> bool:
        """Block until the batch is over, no longer than this; tell whether it is."""

    def result(self) -> None:
        """Once it is over, raise why it was not committed: for one, `futures.CancelledError`."""


class Desk(Protocol):
    """What the consumer needs of the process around it; called from the consumer's thread."""

    def start(self, batch: ReadBatch) -> Run:
        """Begin to handle a batch."""

    def read_offsets(self) -> dict[PartitionKey, int]:
        """Read the database's offsets; raises while the database does not answer."""

    def closed_topics(self) -> frozenset[str]:
        """Name the topics that must not be read at the moment."""
