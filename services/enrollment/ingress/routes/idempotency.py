"""The paths that show and drop remembered answers; all for staff, and no decision is undone."""

from collections.abc import Awaitable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from services.enrollment.ingress.answering import answered
from services.enrollment.ingress.documenting import operation, problems
from services.enrollment.ingress.monitored import FOR_STAFF, Monitored
from services.enrollment.ingress.problems import Problem, ProblemType
from shared.errors import CacheUnavailableError

PATH = "/queue/idempotency"
VISIBLE_ASCII = r"^[\x21-\x7e]+$"
DELETE = "idempotency.delete"
DELETING = (
    *FOR_STAFF,
    ProblemType.VALIDATION_FAILED,
    ProblemType.DATABASE_UNAVAILABLE,
    ProblemType.CACHE_UNAVAILABLE,
)

T = TypeVar("T")


class IdempotencyStatistics(BaseModel):
    """How many answers are remembered."""

    total_cached_operations: int
    sample_keys: Annotated[list[str], Field(description="some of them")]
    is_estimate: Annotated[bool, Field(description="there are too many to count each")]


class AnswersDeleted(BaseModel):
    """How many answers were dropped."""

    deleted: int


def idempotency_router(monitored: Monitored) -> APIRouter:
    """Make the router."""
    router = APIRouter(tags=["idempotency"])
    _add_statistics(router, monitored)
    _add_deleting_one(router, monitored)
    _add_deleting_many(router, monitored)
    return router


def _add_statistics(router: APIRouter, monitored: Monitored) -> None:
    @router.get(
        PATH,
        response_model=IdempotencyStatistics,
        responses=problems(*FOR_STAFF, ProblemType.CACHE_UNAVAILABLE),
        openapi_extra=operation(),
    )
    async def statistics(request: Request) -> Response:
        """Show how many answers Redis remembers, and some of their keys."""
        monitored.staff(request)
        found = await _of_cache(monitored.answers.statistics())
        return answered(
            IdempotencyStatistics(
                total_cached_operations=found.total,
                sample_keys=list(found.sample_keys),
                is_estimate=found.is_estimate,
            )
        )


def _add_deleting_one(router: APIRouter, monitored: Monitored) -> None:
    @router.delete(
        PATH + "/{key:path}",
        response_model=AnswersDeleted,
        responses=problems(*DELETING, ProblemType.NOT_FOUND),
        openapi_extra=operation(),
    )
    async def delete_one(
        request: Request, key: Annotated[str, Path(pattern=VISIBLE_ASCII, max_length=1000)]
    ) -> Response:
        """Drop one remembered answer; its key is one that the statistics show.

        The decision stays: a request that comes again is known by its id, and changes nothing.
        It is recorded in the audit trail first; where that cannot be written, nothing is done.
        """
        caller = monitored.staff(request)
        await monitored.trail.record(caller, DELETE, key)
        deleted = await _of_cache(monitored.answers.delete(key))
        if not deleted:  # keys hold escapes, and who sends one as it is shown means those
            deleted = await _of_cache(monitored.answers.delete(_as_sent(request)))
        return answered(AnswersDeleted(deleted=deleted))


def _as_sent(request: Request) -> str:
    path: bytes = request.scope.get("raw_path") or b""
    return path.decode("ascii").partition("?")[0].partition(f"{PATH}/")[2]


def _add_deleting_many(router: APIRouter, monitored: Monitored) -> None:
    @router.delete(
        PATH,
        response_model=AnswersDeleted,
        responses=problems(*DELETING),
        openapi_extra=operation(),
    )
    async def delete_many(
        request: Request,
        user: Annotated[
            str | None,
            Query(pattern=VISIBLE_ASCII, max_length=128, description="a token's subject"),
        ] = None,
        all: Annotated[bool, Query(description="of everybody")] = False,  # noqa: A002
    ) -> Response:
        """Drop the remembered answers to one user, or with `all=true` those to everybody.

        Decisions stay. It is recorded in the audit trail first; where that cannot be written,
        nothing is done.
        """
        caller = monitored.staff(request)
        if (user is None) is not all:
            raise Problem(ProblemType.VALIDATION_FAILED, "send either user=… or all=true")
        answers = monitored.answers
        if user is None:
            await monitored.trail.record(caller, DELETE, "all")
            deleted = await _of_cache(answers.delete_all())
        else:
            await monitored.trail.record(caller, DELETE, f"user {user}")
            deleted = await _of_cache(answers.delete_user(user))
        return answered(AnswersDeleted(deleted=deleted))


async def _of_cache(asked: Awaitable[T]) -> T:
    try:
        return await asked
    except CacheUnavailableError as error:
        raise Problem(ProblemType.CACHE_UNAVAILABLE) from error
