"""What operators see of the whole system: put together from what each part says of itself."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from services.enrollment.ingress.peers import BreakerReport, Health, PeerStatus, Waiting
from services.enrollment.ingress.view.model import Totals
from shared.breaker import BreakerState, dependency_of
from shared.choreography import Service

UNKNOWN: Final = "null where it cannot be had right now"


class Dependency(StrEnum):
    """What breakers guard."""

    DATABASE = "database"
    REDIS = "redis"
    KAFKA = "kafka"


class OverallHealth(StrEnum):
    """How the system is, by its breakers."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


SEVERITY: Final = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class ProcessBreakers(BaseModel):
    """The breakers of one process."""

    name: Annotated[str, Field(description="service and instance, or the address of who is silent")]
    service: str | None
    instance: str | None
    is_answering: bool
    circuit_breakers: Annotated[
        dict[str, BreakerReport],
        Field(description="those that start with `http.` guard the calls of HTTP requests"),
    ]


Breakers = Annotated[
    dict[Dependency, BreakerReport],
    Field(
        description="of each dependency the worst state of all breakers in live processes, the sum "
        "of their failures and successes, and the most failures in a row"
    ),
]


class CircuitBreakers(BaseModel):
    """All breakers of the system."""

    circuit_breakers: Breakers
    overall_health: Annotated[
        OverallHealth,
        Field(
            description="degraded: a breaker is not closed; unhealthy: one of Kafka's is open, so "
            "that requests cannot be taken in, or events do not go on"
        ),
    ]
    degraded_services: Annotated[
        list[Dependency], Field(description="the dependencies with a breaker that is not closed")
    ]
    instances: list[ProcessBreakers]

    @classmethod
    def of(cls, statuses: Sequence[PeerStatus]) -> "CircuitBreakers":
        """Put together what the processes say."""
        worst = worst_breakers(statuses)
        degraded = [name for name, one in worst.items() if one.state is not BreakerState.CLOSED]
        return cls(
            circuit_breakers=worst,
            overall_health=_overall_health(worst),
            degraded_services=degraded,
            instances=[_of_process(one) for one in statuses],
        )


def worst_breakers(statuses: Sequence[PeerStatus]) -> dict[Dependency, BreakerReport]:
    """Give, of each dependency that has breakers, the worst state and the counts."""
    of_all = {
        dependency: [
            report
            for status in statuses
            for name, report in status.breakers.items()
            if dependency_of(name) == dependency
        ]
        for dependency in Dependency
    }
    return {dependency: _merged(found) for dependency, found in of_all.items() if found}


def _merged(reports: Sequence[BreakerReport]) -> BreakerReport:
    return BreakerReport(
        state=max((one.state for one in reports), key=SEVERITY.__getitem__),
        failure_count=sum(one.failure_count for one in reports),
        success_count=sum(one.success_count for one in reports),
        consecutive_failures=max(one.consecutive_failures for one in reports),
    )


def _overall_health(worst: Mapping[Dependency, BreakerReport]) -> OverallHealth:
    states = {name: one.state for name, one in worst.items()}
    if states.get(Dependency.KAFKA) is BreakerState.OPEN:
        return OverallHealth.UNHEALTHY
    is_fine = set(states.values()) <= {BreakerState.CLOSED}
    return OverallHealth.HEALTHY if is_fine else OverallHealth.DEGRADED


def _of_process(status: PeerStatus) -> ProcessBreakers:
    health = status.health
    return ProcessBreakers(
        name=status.name,
        service=health and health.service,
        instance=health and health.instance,
        is_answering=health is not None,
        circuit_breakers=dict(status.breakers),
    )


class SagaTransactions(BaseModel):
    """The sagas as the view knows them."""

    active_sagas: Annotated[int | None, Field(description=f"not decided yet; {UNKNOWN}")]
    total_sagas: Annotated[int | None, Field(description=f"of all time; {UNKNOWN}")]


class IdempotencyCache(BaseModel):
    """The answers that Redis remembers."""

    total_cached_operations: Annotated[int | None, Field(description=UNKNOWN)]
    sample_keys: Annotated[list[str] | None, Field(description=f"some of them; {UNKNOWN}")]


class OutboxState(BaseModel):
    """The outboxes of all services."""

    depth: Annotated[int | None, Field(description=f"events that wait; {UNKNOWN}")]
    age_seconds: Annotated[float | None, Field(description=f"of the oldest of them; {UNKNOWN}")]


class QueueStats(BaseModel):
    """The system in numbers; what cannot be had right now is null, and named in `unavailable`."""

    active_tasks: Annotated[int | None, Field(description="pending enrollments")]
    pending_tasks: Annotated[int | None, Field(description="requests that nobody has read yet")]
    completed_tasks: Annotated[int | None, Field(description="confirmed enrollments")]
    failed_tasks: Annotated[
        int | None, Field(description="rejected enrollments, and dead letters of the services")
    ]
    workers_online: Annotated[
        int | None, Field(description="live members of the services' consumer groups")
    ]
    circuit_breakers: Breakers
    saga_transactions: SagaTransactions
    idempotency_cache: IdempotencyCache
    outbox: OutboxState
    unavailable: Annotated[
        list[str], Field(description="the fields that are null, such as `outbox.depth`")
    ] = []


def queue_stats(
    sagas: Totals | None,
    unread: int | None,
    cached: IdempotencyCache,
    statuses: Sequence[PeerStatus],
) -> QueueStats:
    """Put the numbers together; None stands for what cannot be had."""
    waiting = waiting_in_services(statuses)
    stats = QueueStats(
        active_tasks=sagas and sagas.active,
        pending_tasks=unread,
        completed_tasks=sagas and sagas.completed,
        failed_tasks=sagas.rejected + waiting.dead_letters if sagas and waiting else None,
        workers_online=workers_online(statuses),
        circuit_breakers=worst_breakers(statuses),
        saga_transactions=SagaTransactions(
            active_sagas=sagas and sagas.active, total_sagas=sagas and sagas.total
        ),
        idempotency_cache=cached,
        outbox=OutboxState(
            depth=waiting and waiting.outbox_depth,
            age_seconds=waiting and waiting.outbox_oldest_seconds,
        ),
    )
    return stats.model_copy(update={"unavailable": list(_missing(stats.model_dump()))})


def _missing(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if value is None:
            yield prefix + name
        elif isinstance(value, dict):
            yield from _missing(value, f"{prefix}{name}.")


def workers_online(statuses: Sequence[PeerStatus]) -> int | None:
    """Count the members of the services' groups; None where no process but ingresses is named."""
    if not any(one.health is None or _is_worker(one.health) for one in statuses):
        return None
    healths = [one.health for one in statuses if one.health is not None]
    return sum(one.checks.get("group_joined", False) for one in healths if _is_worker(one))


def _is_worker(health: Health) -> bool:
    return health.service in set(Service)


def waiting_in_services(statuses: Sequence[PeerStatus]) -> Waiting | None:
    """Sum up the services' databases; None unless a process of each service can tell."""
    of_each = [_waiting_in(service, statuses) for service in Service]
    known = [one for one in of_each if one is not None]
    if len(known) < len(of_each):
        return None
    return Waiting(
        outbox_depth=sum(one.outbox_depth for one in known),
        outbox_oldest_seconds=max(one.outbox_oldest_seconds for one in known),
        dead_letters=sum(one.dead_letters for one in known),
    )


def _waiting_in(service: Service, statuses: Sequence[PeerStatus]) -> Waiting | None:
    """Processes of a service look at the same database, not at the same moment."""
    found = [
        one.health.waiting
        for one in statuses
        if one.health is not None and one.health.service == service and one.health.waiting
    ]
    return max(found, key=lambda one: one.outbox_oldest_seconds, default=None)
