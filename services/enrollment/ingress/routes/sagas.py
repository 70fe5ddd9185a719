"""The paths that show sagas step by step; all for staff."""

from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.enrollment.ingress.answering import answered, json_answer, link_to_next
from services.enrollment.ingress.documenting import operation, problems, told
from services.enrollment.ingress.monitored import FOR_STAFF, Monitored
from services.enrollment.ingress.problems import ProblemType
from services.enrollment.ingress.saga_resources import SAGAS, SagaResource
from services.enrollment.ingress.view.model import SagaStatus
from services.enrollment.ingress.view.queries import SagaFilter
from shared.events import StudentIdField
from shared.identifiers import EnrollmentId

PAGE_MAX: Final = 200
SECONDS_MAX: Final = 100 * 365 * 24 * 3600
LOOKING: Final = (
    *FOR_STAFF,
    ProblemType.VALIDATION_FAILED,
    ProblemType.DATABASE_UNAVAILABLE,
)


class SagasAsked(BaseModel):
    """Which sagas are wanted: those that pass all of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: SagaStatus | None = None
    student: StudentIdField | None = None
    older_than_seconds: Annotated[float, Field(ge=0, le=SECONDS_MAX)] = 0
    stuck: Annotated[bool, Field(description="only those that run longer than they should")] = False
    cursor: Annotated[str | None, Field(max_length=200, description="as in the header Link")] = None
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = 50

    def as_filter(self, now: datetime, stuck_age_seconds: float) -> SagaFilter:
        """Say it as the view is asked."""
        age_seconds = max(self.older_than_seconds, stuck_age_seconds if self.stuck else 0)
        return SagaFilter(
            status=self.status,
            student_id=self.student,
            requested_before=now - timedelta(seconds=age_seconds) if age_seconds else None,
            is_running=self.stuck,
        )


def saga_router(monitored: Monitored) -> APIRouter:
    """Make the router."""
    router = APIRouter(tags=["monitoring"])
    _add_list(router, monitored)
    _add_one(router, monitored)
    return router


def _add_list(router: APIRouter, monitored: Monitored) -> None:
    @router.get(
        "/queue/sagas",
        response_model=list[SagaResource],
        responses={200: told("View-Age", sometimes=["Link"]), **problems(*LOOKING)},
        openapi_extra=operation(),
    )
    async def sagas(
        request: Request,
        asked: Annotated[SagasAsked, Query()],
    ) -> Response:
        """List sagas, newest first; where there are more, `Link` tells where."""
        monitored.staff(request)
        wanted = asked.as_filter(monitored.clock(), monitored.stuck_age_seconds)
        found, following = await monitored.view.sagas(wanted, asked.cursor, asked.limit)
        headers = {"View-Age": monitored.known.age(), **link_to_next(request, following)}
        return json_answer(SAGAS.dump_json([SagaResource.of(one) for one in found]), headers)


def _add_one(router: APIRouter, monitored: Monitored) -> None:
    found_or_not = {
        200: told("View-Age"),
        **problems(*LOOKING, ProblemType.NOT_FOUND, ProblemType.VIEW_BEHIND),
    }

    async def show(request: Request, enrollment_id: EnrollmentId) -> Response:
        found = await monitored.known.of(monitored.staff(request), enrollment_id)
        return answered(SagaResource.of(found), {"View-Age": monitored.known.age()})

    @router.get(
        "/queue/sagas/{saga_id}",
        response_model=SagaResource,
        responses=found_or_not,
        openapi_extra=operation(),
    )
    async def saga(request: Request, saga_id: EnrollmentId) -> Response:
        """Show a saga and its steps, as the events have told so far."""
        return await show(request, saga_id)

    @router.get(
        "/queue/tasks/{task_id}",
        response_model=SagaResource,
        responses=found_or_not,
        openapi_extra=operation(),
    )
    async def task(request: Request, task_id: EnrollmentId) -> Response:
        """Show the same under the name of a task, for clients that poll one; the id is the same."""
        return await show(request, task_id)
