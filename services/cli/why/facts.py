"""What can be seen of one enrollment: values only; whatever could not be seen says so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from services.enrollment.model import EnrollmentState
from shared.identifiers import PartitionKey


@dataclass(frozen=True, slots=True)
class Unseen:
    """A source that gave nothing in time, and why."""

    what: str  # `postgres/<service>`, `kafka`, `processes`
    why: str
    is_outage: bool = True  # not: it answers, and has nothing


@dataclass(frozen=True, slots=True)
class EnrollmentRow:
    """The row that enrollment has; `reasons` as they were said."""

    state: EnrollmentState
    student_id: str
    term: str | None = None
    sections: Sequence[str] = ()
    opened_at: datetime | None = None
    deadline_at: datetime | None = None
    decided_at: datetime | None = None
    stage: str | None = None
    reasons: Sequence[Mapping[str, Any]] = ()
    cancelled_by: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class StepRow:
    """The row that student or capacity has; `is_answered` is false of a mark that came first."""

    state: str
    student_id: str
    is_answered: bool = True
    decided_at: datetime | None = None
    released_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter that is about the enrollment, or about the catalog entry of its section."""

    service: str
    id: int
    topic: str
    partition: int
    offset: int
    event_type: str | None
    reason: str
    detail: str
    holds: bool
    parked_at: datetime
    about: str | None = None  # the section, where it is of the catalog


@dataclass(frozen=True, slots=True)
class Conflict:
    """A message that contradicted what was known of the enrollment, and changed nothing."""

    kind: str
    student_id: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event of the enrollment that is in an outbox still."""

    event_type: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """Who has the right to publish an outbox: the session in the database."""

    pid: int
    application: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Known:
    """Which version of a section a service knows; None: it does not."""

    version: int | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """What one service's database says."""

    now: datetime
    enrollment: EnrollmentRow | None = None
    conflicts: Sequence[Conflict] = ()
    step: StepRow | None = None
    letters: Sequence[Letter] = ()
    unreadable: int = 0  # dead letters that name no enrollment
    outbox_depth: int = 0
    outbox_oldest_at: datetime | None = None
    outbox_own: Sequence[Waiting] = ()
    lease: Lease | None = None
    sessions: int = 0  # of the service's own processes
    offsets: Mapping[PartitionKey, int] = field(default_factory=dict)
    sections: Mapping[str, Known] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Extent:
    """The first offset of a log that is still kept, and its end."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Found:
    """A message about the enrollment; `said_at` by its writer's clock, `logged_at` by Kafka's."""

    place: PartitionKey
    offset: int
    event_type: str
    source: str | None
    said_at: datetime | None
    logged_at: datetime | None
    student_id: str | None = None


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """What the topics say; `first_unread` is when the log took what a service reads next."""

    extents: Mapping[PartitionKey, Extent]
    messages: Sequence[Found] = ()
    first_unread: Mapping[tuple[str, PartitionKey], datetime] = field(default_factory=dict)
    looked_at: int = 0  # messages
    is_whole: bool = True  # all of the windows was read in time


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """A process as its supervisor and it itself say."""

    name: str
    service: str
    state: str
    is_alive: bool
    is_answering: bool = False
    checks: Mapping[str, bool] = field(default_factory=dict)
    breakers: Mapping[str, str] = field(default_factory=dict)
    out_of_range: Sequence[str] = ()
    closed_topics: Sequence[str] = ()
    clock_ahead_seconds: float | None = None

    @property
    def open_breakers(self) -> list[str]:
        """Name the breakers that are not closed."""
        return [name for name, state in self.breakers.items() if state != "closed"]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that could be seen; `databases` has only those that answered."""

    enrollment_id: UUID
    databases: Mapping[str, DatabaseFacts] = field(default_factory=dict)
    topics: TopicFacts | None = None
    processes: Sequence[ProcessFacts] | None = None
    servers: Mapping[str, bool] = field(default_factory=dict)  # whether each answers
    unseen: Sequence[Unseen] = ()

    @property
    def enrollment(self) -> EnrollmentRow | None:
        """Give enrollment's row."""
        return self.databases["enrollment"].enrollment if "enrollment" in self.databases else None

    @property
    def messages(self) -> Sequence[Found]:
        """Give the messages that were found."""
        return self.topics.messages if self.topics is not None else ()

    @property
    def is_searched(self) -> bool:
        """Tell whether messages were looked for at all."""
        return self.topics is not None and self.topics.looked_at > 0

    def step(self, service: str) -> StepRow | None:
        """Give the row of student or capacity."""
        return self.databases[service].step if service in self.databases else None

    @property
    def letters(self) -> list[Letter]:
        """Give all dead letters that matter, oldest first."""
        found = [letter for one in self.databases.values() for letter in one.letters]
        return sorted(found, key=lambda letter: (letter.parked_at, letter.id))
