"""The paths of sections: how many seats each has, and how many are free."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from services.enrollment.ingress.access import Access
from services.enrollment.ingress.answering import link_to_next, tagged
from services.enrollment.ingress.documenting import FOR_THE_KNOWN, operation, problems, told
from services.enrollment.ingress.known import Known
from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.resources import SectionPage, SectionResource
from services.enrollment.ingress.routes.enrollments import IF_NONE_MATCH
from services.enrollment.ingress.view.reader import View
from shared.events import SectionIdField, TermField

PAGE_MAX = 500
LOOKING = (
    *FOR_THE_KNOWN,
    ProblemType.VALIDATION_FAILED,
    ProblemType.DATABASE_UNAVAILABLE,
)


@dataclass(frozen=True)
class SectionPaths:
    """What these paths ask."""

    access: Access
    view: View
    known: Known


def section_router(paths: SectionPaths) -> APIRouter:
    """Make the router."""
    router = APIRouter(tags=["sections"])

    @router.get(
        "/sections/{term}/{section_id}",
        response_model=SectionResource,
        responses={
            200: told("ETag", "View-Age"),
            304: {"description": "It is as you know it", **told("ETag", "View-Age")},
            **problems(*LOOKING, ProblemType.NOT_FOUND),
        },
        openapi_extra=operation(IF_NONE_MATCH),
    )
    async def show(request: Request, term: TermField, section_id: SectionIdField) -> Response:
        """Show a section's capacity, what is reserved, and what is free."""
        paths.access.caller(request.headers.get("authorization"))
        found = await paths.view.section(term, section_id)
        if found is None:
            raise Problem(ProblemType.NOT_FOUND)
        body = SectionResource.of(found).model_dump_json().encode()
        return tagged(request, body, {"View-Age": paths.known.age()})

    @router.get(
        "/sections",
        response_model=SectionPage,
        responses={
            200: told("ETag", "View-Age", sometimes=["Link"]),
            304: {
                "description": "They are as you know them",
                **told("ETag", "View-Age", sometimes=["Link"]),
            },
            **problems(*LOOKING),
        },
        openapi_extra=operation(IF_NONE_MATCH),
    )
    async def list_of_term(
        request: Request,
        term: Annotated[TermField, Query()],
        cursor: Annotated[SectionIdField | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> Response:
        """List the sections of a term by id; `cursor` is the last id of the page before."""
        paths.access.caller(request.headers.get("authorization"))
        found = await paths.view.sections(term, cursor, limit)
        following = found[-1].section_id if len(found) == limit else None
        page = SectionPage(sections=[SectionResource.of(one) for one in found], next=following)
        headers = {"View-Age": paths.known.age(), **link_to_next(request, following)}
        return tagged(request, page.model_dump_json().encode(), headers)

    return router
