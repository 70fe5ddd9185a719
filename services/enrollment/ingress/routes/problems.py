"""The paths that explain problems: what a problem's `type` leads to."""

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from services.enrollment.ingress.answering import answered
from services.enrollment.ingress.documenting import problems
from services.enrollment.ingress.problems import PROBLEM_PATH, Problem, ProblemType


class ProblemExplained(BaseModel):
    """A kind of problem."""

    type: str
    status: int
    title: str
    what_to_do: str


def problem_router() -> APIRouter:
    """Make the router."""
    router = APIRouter(tags=["problems"])

    @router.get(
        PROBLEM_PATH + "{slug}",
        response_model=ProblemExplained,
        responses=problems(ProblemType.NOT_FOUND),
    )
    async def explain(slug: str) -> Response:
        """Explain a kind of problem, and say what to do about it."""
        kind = ProblemType.of(slug)
        if kind is None:
            raise Problem(ProblemType.NOT_FOUND)
        return answered(
            ProblemExplained(
                type=kind.path, status=kind.status, title=kind.title, what_to_do=kind.advice
            )
        )

    return router
