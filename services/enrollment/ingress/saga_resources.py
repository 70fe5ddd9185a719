"""What staff see of a saga, as OpenAPI describes it."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, TypeAdapter

from services.enrollment.ingress.view.model import (
    SagaStatus,
    Status,
    Step,
    StepName,
    StepStatus,
    ViewedEnrollment,
)
from services.enrollment.ingress.view.steps import steps
from shared.events import SectionIdField, TermField

SAGA_NAME = "enrollment"


class StepResource(BaseModel):
    """A step of a saga, or what gives back what it took."""

    name: StepName
    status: StepStatus
    attempts: int
    started_at: datetime | None
    ended_at: datetime | None
    reason: Annotated[str | None, Field(description="why it failed: codes, or `cancelled`")]

    @classmethod
    def of(cls, step: Step) -> "StepResource":
        """Show what the events tell."""
        return cls(
            name=step.name,
            status=step.status,
            attempts=step.attempts,
            started_at=step.started_at,
            ended_at=step.ended_at,
            reason=step.reason,
        )


class SagaResource(BaseModel):
    """An enrollment as a saga: what was done for it, and what is undone."""

    saga_id: Annotated[UUID, Field(description="the id of the enrollment")]
    name: Literal["enrollment"]
    status: SagaStatus
    student_id: str
    term: TermField | None
    sections: tuple[SectionIdField, ...]
    started_at: datetime
    deadline_at: datetime | None
    ended_at: Annotated[
        datetime | None,
        Field(description="when it was confirmed, or when all was given back; null while it runs"),
    ]
    steps: Annotated[
        list[StepResource], Field(description="none once they were pruned, some time after the end")
    ]

    @classmethod
    def of(cls, one: ViewedEnrollment) -> "SagaResource":
        """Show what the view knows."""
        return cls(
            saga_id=one.enrollment_id,
            name=SAGA_NAME,
            status=one.saga_status,
            student_id=one.student_id,
            term=one.term,
            sections=one.sections,
            started_at=one.requested_at,
            deadline_at=one.deadline_at,
            ended_at=_ended_at(one),
            steps=[StepResource.of(step) for step in steps(one)],
        )


def _ended_at(one: ViewedEnrollment) -> datetime | None:
    return one.decided_at if one.status is Status.CONFIRMED else one.settled_at


SAGAS = TypeAdapter(list[SagaResource])
