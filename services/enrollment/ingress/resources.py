"""What clients send and get, as OpenAPI describes it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.enrollment.ingress.view.model import Status, ViewedEnrollment, ViewedSection
from shared.events import (
    EnrollmentRequested,
    Reason,
    SectionIdField,
    Sections,
    SectionState,
    Stage,
    StudentIdField,
    TermField,
)
from shared.identifiers import EnrollmentId

IDEMPOTENCY_KEY_PATTERN = r"^[\x21-\x7e]{1,255}$"
KEY_HEADER_PATTERN = r"""^("[\x21-\x7e]{1,255}"|(?!""$)[\x21-\x7e]{1,255})$"""  # also in quotes


class EnrollmentAsked(BaseModel):
    """A student asks for sections of one term, all or nothing."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"term": "2031a", "sections": ["MATH1-1", "PHYS2-1"]}]},
    )

    term: TermField
    sections: Sections
    deadline_seconds: Annotated[
        EnrollmentRequested.model_fields["deadline_seconds"].rebuild_annotation(),  # type: ignore[valid-type]
        Field(description="give up when it is not decided by then; at most the system's own"),
    ] = None
    student_id: Annotated[
        StudentIdField | None,
        Field(description="staff must say for whom; a student may only name herself"),
    ] = None


class BatchItemAsked(EnrollmentAsked):
    """One request of a batch."""

    student_id: StudentIdField
    idempotency_key: Annotated[str | None, StringConstraints(pattern=IDEMPOTENCY_KEY_PATTERN)] = (
        None
    )


class BatchAsked(BaseModel):
    """Requests of many students, each of which is decided alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: Annotated[tuple[BatchItemAsked, ...], Field(min_length=1)]


class Accepted(BaseModel):
    """The request is in the queue: its outcome is found at its location."""

    enrollment_id: UUID
    student_id: str
    status: Annotated[Status, Field(description="always pending: ask the location for more")]


class CancellationAccepted(BaseModel):
    """The cancellation is in the queue."""

    enrollment_id: UUID
    student_id: str
    cancelling: bool


class EnrollmentResource(BaseModel):
    """An enrollment and what came of it."""

    enrollment_id: UUID
    student_id: str
    status: Status
    term: TermField | None
    sections: tuple[SectionIdField, ...]
    requested_at: datetime
    deadline_at: datetime | None
    decided_at: datetime | None
    stage: Annotated[Stage | None, Field(description="where on its way it was rejected")]
    reasons: tuple[Reason, ...]

    @classmethod
    def of(cls, one: ViewedEnrollment) -> "EnrollmentResource":
        """Show what the view knows."""
        return cls(
            enrollment_id=one.enrollment_id,
            student_id=one.student_id,
            status=one.status,
            term=one.term,
            sections=one.sections,
            requested_at=one.requested_at,
            deadline_at=one.deadline_at,
            decided_at=one.decided_at,
            stage=one.stage,
            reasons=one.reasons,
        )


class EnrollmentPage(BaseModel):
    """A student's enrollments, newest first."""

    enrollments: list[EnrollmentResource]
    next: Annotated[str | None, Field(description="the cursor of the next page; null: the last")]


class SectionResource(BaseModel):
    """A section and its seats, as of the view's age."""

    term: str
    section_id: str
    course_id: str | None
    state: SectionState
    credits: int
    capacity: int
    reserved: int
    free: int

    @classmethod
    def of(cls, one: ViewedSection) -> "SectionResource":
        """Show what the view knows; a capacity may have fallen below what is reserved."""
        return cls(
            term=one.term,
            section_id=one.section_id,
            course_id=one.course_id,
            state=one.state,
            credits=one.credits,
            capacity=one.capacity,
            reserved=one.reserved,
            free=max(0, one.capacity - one.reserved),
        )


class SectionPage(BaseModel):
    """Sections of a term, by id."""

    sections: list[SectionResource]
    next: Annotated[str | None, Field(description="the cursor of the next page; null: the last")]


class BatchResult(BaseModel):
    """What became of one request of a batch."""

    status: Annotated[int, Field(description="the HTTP status that the request alone would get")]
    enrollment_id: UUID | None = None
    location: str | None = None
    problem: Annotated[
        dict[str, object] | None, Field(description="an RFC 9457 problem, where it was refused")
    ] = None


class BatchAnswer(BaseModel):
    """The results, in the order of the requests."""

    results: list[BatchResult]


def location_of(enrollment_id: EnrollmentId) -> str:
    """Say where an enrollment is found."""
    return f"/enrollments/{enrollment_id}"
