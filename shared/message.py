"""What a topic holds and how it reads: messages, arrivals, and what cannot be read."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum, auto

from shared.events import Event
from shared.identifiers import EnrollmentId, EventId, PartitionKey

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One record of a topic, as read; `value` None is a tombstone.

    `logged_ms` is when the broker took it, which is known of topics that others write.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    logged_ms: int | None = None

    @property
    def partition_key(self) -> PartitionKey:
        """Name the partition it was read from."""
        return PartitionKey(self.topic, self.partition)


class Interest(Enum):
    """How much a service wants what it reads."""

    NONE = auto()  # it does not react to it
    LATER = auto()  # it does, and no outcome waits for that
    NOW = auto()


@dataclass(frozen=True, slots=True)
class Move:
    """How far a batch moves one partition: from the offset it expects to the next one to read."""

    expected: int
    next: int


class Unreadability(StrEnum):
    """Why a message cannot be tied to an event, and so becomes a dead letter that holds nothing."""

    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    NO_CLOUD_EVENT = "no_cloud_event"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_VERSION = "unknown_version"
    BAD_CONTENT = "bad_content"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that no reaction can be given."""

    message: Message
    reason: Unreadability
    detail: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event as it came: `event_id` is the inbox's key where the topic is one of ours."""

    message: Message
    event_id: EventId
    event: Event
    traceparent: str | None

    @property
    def enrollment_id(self) -> EnrollmentId | None:
        """Name the enrollment; an event of a catalog has none."""
        return getattr(self.event, "enrollment_id", None)  # isinstance costs 10 times as much


@dataclass(frozen=True, slots=True)
class Emitted:
    """An event that a reaction returned, with the trace context it continues.

    `since` is when what it ends was asked for: it is measured, and nothing else.
    """

    event: Event
    traceparent: str | None
    since: datetime | None = field(default=None, compare=False)
