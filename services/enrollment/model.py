"""What enrollment knows: one row for each enrollment, and repeats that contradict it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from shared.events import Reason, Stage
from shared.identifiers import EnrollmentId, SectionId, StudentId, Term
from shared.reaction import Rows


class EnrollmentState(StrEnum):
    """How far an enrollment is; UNOPENED was cancelled before its request came."""

    UNOPENED = "unopened"
    PENDING = "pending"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Enrollment:
    """An enrollment. `cancelled_by` has students who cancelled the id before it was requested.

    `requested_at` is when the broker took its request, and is only measured.
    """

    enrollment_id: EnrollmentId
    state: EnrollmentState
    student_id: StudentId
    term: Term | None = None
    sections: tuple[SectionId, ...] = ()
    body_sha256: bytes | None = None
    opened_at: datetime | None = None
    deadline_at: datetime | None = None
    decided_at: datetime | None = None
    stage: Stage | None = None
    reasons: tuple[Reason, ...] = ()
    cancelled_by: tuple[StudentId, ...] = ()
    cancel_reason: str | None = None
    traceparent: str | None = None
    requested_at: datetime | None = None


class ConflictKind(StrEnum):
    """How a message contradicted what is known of its enrollment."""

    CONFLICTING_DUPLICATE = "conflicting_duplicate"  # the id of another request
    FOREIGN_REQUEST = "foreign_request"  # the id of another student's enrollment
    FOREIGN_CANCEL = "foreign_cancel"  # a cancel of another student's enrollment


@dataclass(frozen=True, slots=True)
class Conflict:
    """A message that changed nothing, kept for those who ask why."""

    enrollment_id: EnrollmentId
    student_id: StudentId
    kind: ConflictKind
    body_sha256: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class DeadlinePolicy:
    """How long an enrollment may stay pending, by enrollment's clock."""

    default_seconds: float
    maximum_seconds: float

    def deadline(self, now: datetime, asked_seconds: float | None) -> datetime:
        """Give the deadline of an enrollment that opens now."""
        wanted = self.default_seconds if asked_seconds is None else asked_seconds
        return now + timedelta(seconds=min(wanted, self.maximum_seconds))


@dataclass(slots=True)
class State:
    """The rows that a batch works on."""

    enrollments: Rows[EnrollmentId, Enrollment]
    policy: DeadlinePolicy
    conflicts: list[Conflict] = field(default_factory=list)
