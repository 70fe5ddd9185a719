"""What is explored: who asks for what in which small world, and what may go wrong there."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.simulation.explorer.messages import Sent
from shared.choreography import Service, subscriptions
from shared.events import Event
from shared.identifiers import PartitionKey, StudentId


class Fault(StrEnum):
    """The one kind of fault that may strike in a configuration."""

    NONE = "none"
    REPEATS = "repeats"  # any message comes again, at any time, as often as it likes
    NO_INBOX = "no inbox"  # the same, and no inbox: the rows alone must do
    RIVALS = "rivals"  # two processes of a service are at work at once, statement by statement
    CRASH = "crash"  # one process is killed at one of its awaits, or cut off after its commit
    POISON = "poison"  # one decision raises; what is parked is replayed later
    REPLAYS = "replays"  # the same, and a replay is at work at once with a batch, or with another
    DISCARD = "discard"  # the same, or it is given up; a deadline ends what waits for it


ONE_OF_A_KIND: Final = frozenset({Fault.CRASH, Fault.POISON, Fault.REPLAYS, Fault.DISCARD})

SMALL: Final = 3  # messages


@dataclass(frozen=True, slots=True)
class Configuration:
    """A small world. Each stream is in order; between streams anything goes."""

    name: str
    catalog: tuple[Sent, ...]  # read before anything else
    streams: tuple[tuple[Sent, ...], ...]
    students: tuple[StudentId, ...]
    fault: Fault = Fault.NONE
    has_deadlines: bool = False
    is_shared: bool = False  # one partition for all students
    batch_max: int = 2  # messages read at once
    is_reduced: bool = True  # leaves out what comes to what is explored anyway

    @property
    def size(self) -> tuple[bool, int]:
        """Give what orders configurations by the work that they are, roughly."""
        return self.fault in ONE_OF_A_KIND, self._messages

    @property
    def is_small(self) -> bool:
        """Tell whether so little is asked that any kind of fault is soon explored."""
        return self._messages <= SMALL

    @property
    def is_smallest(self) -> bool:
        """Tell whether hardly anything is asked."""
        return self._messages < SMALL

    @property
    def _messages(self) -> int:
        return sum(map(len, self.streams))

    def partitions(self) -> dict[StudentId, int]:
        """Tell in which partition each student's messages are."""
        return {s: 0 if self.is_shared else n for n, s in enumerate(self.students)}

    def meant(self) -> list[Event]:
        """List all that is asked for and told from outside."""
        sent = [message for stream in (self.catalog, *self.streams) for message in stream]
        return [message.means for message in sent if message.means is not None]

    def partitions_read_by(self, service: Service) -> list[PartitionKey]:
        """List the partitions that a service reads."""
        count = 1 if self.is_shared else len(self.students)
        return [
            PartitionKey(topic.name, number)
            for topic in subscriptions(service)
            for number in range(1 if topic.is_catalog else count)
        ]
