"""The paths that show the whole system in numbers, and its breakers; all for staff."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from services.enrollment.ingress.answering import answered
from services.enrollment.ingress.documenting import operation, problems, told
from services.enrollment.ingress.monitored import FOR_STAFF, Monitored
from services.enrollment.ingress.monitoring import (
    CircuitBreakers,
    Dependency,
    IdempotencyCache,
    QueueStats,
    queue_stats,
)
from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.view.model import Totals
from shared.errors import CacheUnavailableError

RESET = "circuit_breaker.reset"


class BreakersReset(BaseModel):
    """Whom a reset has reached."""

    name: Dependency
    is_complete: Annotated[bool, Field(description="whether every process has answered")]
    instances: Annotated[
        dict[str, bool],
        Field(
            description="of each process with such a breaker whether it is reset; "
            "false: it, or whoever is at that address, does not answer"
        ),
    ]


def queue_router(monitored: Monitored) -> APIRouter:
    """Make the router."""
    router = APIRouter(tags=["monitoring"])
    _add_stats(router, monitored)
    _add_breakers(router, monitored)
    return router


def _add_stats(router: APIRouter, monitored: Monitored) -> None:
    @router.get(
        "/queue/stats/enhanced",
        response_model=QueueStats,
        responses={200: told("View-Age"), **problems(*FOR_STAFF)},
        openapi_extra=operation(),
    )
    async def stats(request: Request) -> Response:
        """Show the system in numbers.

        They come from several places, each of its own moment. What cannot be had right now, say
        because the database is away, is null, and `unavailable` names it.
        """
        monitored.staff(request)
        totals, cached, statuses = await asyncio.gather(
            _totals(monitored), _cached(monitored), monitored.peers.statuses()
        )
        queue = monitored.queue
        unread = queue.lag if queue.is_known else None
        headers = {"View-Age": monitored.known.age()}
        return answered(queue_stats(totals, unread, cached, statuses), headers)


async def _totals(monitored: Monitored) -> Totals | None:
    try:
        return await monitored.view.totals()
    except Problem as problem:
        if problem.kind is not ProblemType.DATABASE_UNAVAILABLE:
            raise
        return None


async def _cached(monitored: Monitored) -> IdempotencyCache:
    try:
        found = await monitored.answers.statistics()
    except CacheUnavailableError:
        return IdempotencyCache(total_cached_operations=None, sample_keys=None)
    return IdempotencyCache(
        total_cached_operations=found.total, sample_keys=list(found.sample_keys)
    )


def _add_breakers(router: APIRouter, monitored: Monitored) -> None:
    @router.get(
        "/queue/circuit-breakers",
        response_model=CircuitBreakers,
        responses=problems(*FOR_STAFF),
        openapi_extra=operation(),
    )
    async def breakers(request: Request) -> Response:
        """Show the breakers of every process, and the worst of them."""
        monitored.staff(request)
        return answered(CircuitBreakers.of(await monitored.peers.statuses()))

    @router.post(
        "/queue/circuit-breakers/{name}/reset",
        response_model=BreakersReset,
        responses=problems(
            *FOR_STAFF,
            ProblemType.NOT_FOUND,
            ProblemType.VALIDATION_FAILED,
            ProblemType.DATABASE_UNAVAILABLE,
        ),
        openapi_extra=operation(),
    )
    async def reset(request: Request, name: Dependency) -> Response:
        """Close the breakers of a dependency in every process, and forget their counts.

        It is recorded in the audit trail first; where that cannot be written, nothing is done.
        """
        caller = monitored.staff(request)
        await monitored.trail.record(caller, RESET, name)
        instances = await monitored.peers.reset_breaker(name)
        return answered(
            BreakersReset(name=name, is_complete=all(instances.values()), instances=instances)
        )
