"""The paths that load balancers and Prometheus ask; they need no token, and answer from memory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Literal, Protocol

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from services.enrollment.ingress.answering import answered
from services.enrollment.ingress.documenting import problems
from services.enrollment.ingress.monitoring import Dependency
from shared.breaker import Breaker, BreakerState, dependency_of

EXPOSITION: Final = "text/plain; version=0.0.4; charset=utf-8"
RETRY_SECONDS: Final = "1"


class Phase(StrEnum):
    """Where a process is in its life."""

    STARTING = "starting"
    SERVING = "serving"
    STOPPING = "stopping"


@dataclass
class Life:
    """The phase, as whoever starts and stops the server sets it."""

    phase: Phase = Phase.STARTING


class Queue(Protocol):
    """Who asks Kafka every so often."""

    @property
    def is_known(self) -> bool:
        """Tell whether Kafka has answered lately."""


@dataclass(frozen=True)
class HealthPaths:
    """What these paths ask."""

    life: Life
    queue: Queue
    is_database_up: Callable[[], bool]
    breakers: Mapping[str, Breaker]
    metrics: Callable[[], bytes]

    def dependencies(self) -> "dict[Dependency, DependencyHealth]":
        """Tell of each dependency what this process has seen of it."""
        answers = {
            Dependency.DATABASE: self.is_database_up(),
            Dependency.REDIS: True,  # nobody asks unless a request does
            Dependency.KAFKA: self.queue.is_known,
        }
        return {name: self._health_of(name, answers[name]) for name in Dependency}

    def _health_of(self, name: Dependency, answers: bool) -> "DependencyHealth":
        states = {
            known: one.snapshot().state
            for known, one in self.breakers.items()
            if dependency_of(known) == name
        }
        is_closed = set(states.values()) <= {BreakerState.CLOSED}
        return DependencyHealth(is_up=answers and is_closed, circuit_breakers=states)


class DependencyHealth(BaseModel):
    """A dependency as this process sees it."""

    is_up: Annotated[bool, Field(description="it answers, and every breaker is closed")]
    circuit_breakers: dict[str, BreakerState]


class Liveness(BaseModel):
    """The process runs."""

    live: Literal[True] = True


class Readiness(BaseModel):
    """Whether the process takes requests."""

    ready: Annotated[
        bool,
        Field(
            description="false while it starts or stops. A dependency that is down does not count: "
            "it is down for every process, and each answers for itself what it cannot do"
        ),
    ]
    phase: Phase
    dependencies: dict[Dependency, DependencyHealth]


def health_router(paths: HealthPaths) -> APIRouter:
    """Make the router."""
    router = APIRouter(tags=["health"])

    @router.get("/health/live", response_model=Liveness, responses=problems())
    async def live() -> Response:
        """Tell that the process runs."""
        return answered(Liveness())

    @router.get(
        "/health/ready",
        response_model=Readiness,
        responses={**problems(), 503: {**problems()[503], "model": Readiness}},
    )
    async def ready() -> Response:
        """Tell whether the process takes requests, and how its dependencies are."""
        phase = paths.life.phase
        is_ready = phase is Phase.SERVING
        body = Readiness(ready=is_ready, phase=phase, dependencies=paths.dependencies())
        response = answered(body)
        if not is_ready:
            response.status_code = 503
            response.headers["Retry-After"] = RETRY_SECONDS
        return response

    @router.get(
        "/metrics",
        response_class=Response,
        responses={**problems(), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        """Show the metrics of this process in Prometheus's text format."""
        return Response(paths.metrics(), headers={"Content-Type": EXPOSITION})

    return router
