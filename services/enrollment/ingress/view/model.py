"""What the ingress shows: enrollments with what has happened to them, and sections with seats."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, assert_never

from shared.events import Reason, SectionState, Stage
from shared.identifiers import CourseId, EnrollmentId, SectionId, SectionKey, StudentId, Term
from shared.reaction import Rows


class Status(StrEnum):
    """How far an enrollment is, as its student sees it."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class SagaStatus(StrEnum):
    """How far a saga is, as operators see it."""

    EXECUTING = "executing"
    COMPLETED = "completed"
    COMPENSATING = "compensating"
    COMPENSATED = "compensated"


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of an enrollment, by its name, at the time that its writer gave it."""

    event: str
    at: datetime
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class ViewedEnrollment:
    """An enrollment as the topics have told of it so far.

    `happenings` stand in the order in which they were heard, which may differ from that of their
    times; None says that they were pruned. `settled_at` tells since when nothing has to be given
    back: None while it is pending, and while it is over and yet holds a claim or seats.
    """

    enrollment_id: EnrollmentId
    student_id: StudentId
    status: Status
    requested_at: datetime
    term: Term | None = None
    sections: tuple[SectionId, ...] = ()
    opened_at: datetime | None = None
    deadline_at: datetime | None = None
    decided_at: datetime | None = None
    stage: Stage | None = None
    reasons: tuple[Reason, ...] = ()
    was: Literal["pending", "confirmed"] | None = None
    happenings: tuple[Happening, ...] | None = ()
    settled_at: datetime | None = None

    @property
    def saga_status(self) -> SagaStatus:
        """Tell how far the saga is: it goes on until what was taken is given back."""
        match self.status:
            case Status.PENDING:
                return SagaStatus.EXECUTING
            case Status.CONFIRMED:
                return SagaStatus.COMPLETED
            case Status.REJECTED | Status.CANCELLED:
                is_settled = self.settled_at is not None
                return SagaStatus.COMPENSATED if is_settled else SagaStatus.COMPENSATING
            case unreachable:
                assert_never(unreachable)


class StepName(StrEnum):
    """A step of a saga, or what gives back what it took."""

    VALIDATE_STUDENT = "validate_student"
    RESERVE_SECTIONS = "reserve_sections"
    CONFIRM = "confirm"
    RELEASE_SECTIONS = "release_sections"
    RELEASE_STUDENT = "release_student"


class StepStatus(StrEnum):
    """How far a step is; one that will not run is skipped."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Step:
    """One step; it is attempted once, for each question gets one answer."""

    name: StepName
    status: StepStatus
    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ViewedSection:
    """A section: the catalog's newest version, and its seats as of `seat_sequence`.

    One of which only the seats are known has no course and no version, and is not shown.
    """

    term: Term
    section_id: SectionId
    course_id: CourseId | None = None
    state: SectionState = SectionState.OPEN
    credits: int = 0
    capacity: int = 0
    version: int | None = None
    reserved: int = 0
    seat_sequence: int = 0

    @property
    def key(self) -> SectionKey:
        """Name the section."""
        return SectionKey(self.term, self.section_id)

    @property
    def free(self) -> int:
        """Count the free seats: computed, never stored."""
        return max(0, self.capacity - self.reserved)


@dataclass(frozen=True, slots=True)
class Totals:
    """How many enrollments there are of each status."""

    active: int
    completed: int
    rejected: int
    cancelled: int

    @property
    def total(self) -> int:
        """Count them all."""
        return self.active + self.completed + self.rejected + self.cancelled


@dataclass(slots=True)
class State:
    """The rows that a batch works on, and by how much it changes the number of each status."""

    enrollments: Rows[EnrollmentId, ViewedEnrollment]
    sections: Rows[SectionKey, ViewedSection]
    totals: Counter[Status] = field(default_factory=Counter)
