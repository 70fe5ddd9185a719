"""What a history is made from: messages from outside and faults, each at its time."""

from dataclasses import dataclass
from enum import StrEnum

from shared.choreography import Service
from shared.identifiers import EnrollmentId
from shared.message import Headers


class Fault(StrEnum):
    """What may happen to a process, a server or a clock."""

    KILL = "kill"
    STOP = "stop"  # as it is asked to, for a new release
    FREEZE = "freeze"
    DISCONNECT = "disconnect"  # one call loses its connection; whether it had effect is unknown
    DATABASE_DOWN = "database_down"
    DATABASE_CRASH = "database_crash"  # open transactions are lost
    KAFKA_DOWN = "kafka_down"
    REBALANCE = "rebalance"
    CLOCK_JUMP = "clock_jump"
    RETENTION = "retention"  # the topics forget what everybody has read
    REPUBLISH = "republish"  # a topic of ours gets everything once more, as by a mirroring tool
    INBOX_LOSS = "inbox_loss"  # the inbox forgets; the rows alone must do


@dataclass(frozen=True, slots=True)
class Publish:
    """A message from outside."""

    at_us: int
    topic: str
    key: bytes
    value: bytes | None
    headers: Headers
    tells: str  # what it is, for the narrative


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault at a time. `target` is a process or a service, or empty."""

    at_us: int
    fault: Fault
    target: str
    lasts_us: int = 0


@dataclass(frozen=True, slots=True)
class Ambush:
    """A fault that waits for a process at one of its awaits, the `await_number`-th."""

    process: str
    await_number: int
    fault: Fault
    lasts_us: int = 0


@dataclass(frozen=True, slots=True)
class Poison:
    """A decision that raises for one enrollment until it is mended; `discard`: it is given up.

    `by_database`: the decision is made, and the database will not have it.
    """

    service: Service
    event_type: str
    enrollment_id: EnrollmentId
    mended_at_us: int
    discard: bool
    by_database: bool


Step = Publish | Strike | Ambush | Poison


@dataclass(frozen=True, slots=True)
class Setting:
    """What does not change in a history."""

    partitions: int
    instances: int
    latency_us: int  # of a statement or a message, on average
    deadline_seconds: float
    pending_max: int
    skew_us: tuple[int, ...]  # of the clock of each process, in the order of their names


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that makes one history, together with the seed of its chances."""

    seed: int
    setting: Setting
    steps: tuple[Step, ...]
