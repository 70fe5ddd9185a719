"""What is put together of what the processes say: worst states, sums, and what is not known."""

from collections.abc import Mapping
from typing import Any

import pytest

from services.enrollment.ingress.monitoring import (
    CircuitBreakers,
    Dependency,
    IdempotencyCache,
    OverallHealth,
    queue_stats,
)
from services.enrollment.ingress.peers import BreakerReport, Health, PeerStatus, Waiting
from services.enrollment.ingress.view.model import Totals
from shared.breaker import BreakerState

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
SAGAS = Totals(active=3, completed=5, rejected=7, cancelled=2)
CACHED = IdempotencyCache(total_cached_operations=2, sample_keys=["a", "b"])
NOT_CACHED = IdempotencyCache(total_cached_operations=None, sample_keys=None)


def report(state: BreakerState, failed: int = 0, done: int = 0, in_a_row: int = 0) -> BreakerReport:
    return BreakerReport(
        state=state, failure_count=failed, success_count=done, consecutive_failures=in_a_row
    )


def process(
    service: str,
    instance: str = "1",
    *,
    has_joined: bool = True,
    waiting: Waiting | None = None,
    breakers: Mapping[str, BreakerReport] | None = None,
) -> PeerStatus:
    health = Health(
        service=service,
        instance=instance,
        ready=has_joined,
        checks={"group_joined": has_joined},
        waiting=waiting,
    )
    return PeerStatus(health.name, health, breakers or {})


def waits(depth: int = 0, oldest: float = 0.0, parked: int = 0) -> Waiting:
    return Waiting(outbox_depth=depth, outbox_oldest_seconds=oldest, dead_letters=parked)


def all_services() -> list[PeerStatus]:
    return [
        process("enrollment", waiting=waits(1, 2.5, 1)),
        process("student", waiting=waits(2, 0.5)),
        process("capacity", waiting=waits(4, 1.0, 3)),
        process("ingress", waiting=waits(100, 100, 100)),
    ]


SILENT = PeerStatus("http://10.0.0.9:9000")


def stats(statuses: list[PeerStatus], **changes: Any) -> Any:
    asked: dict[str, Any] = {"sagas": SAGAS, "unread": 9, "cached": CACHED, **changes}
    return queue_stats(statuses=statuses, **asked)


def test_of_each_dependency_the_worst_state_counts_and_the_counts_are_summed_up() -> None:
    found = CircuitBreakers.of(
        [
            process("capacity", breakers={"database": report(CLOSED, 1, 10, 0)}),
            process(
                "ingress",
                breakers={
                    "database": report(HALF_OPEN, 2, 20, 2),
                    "http.database": report(OPEN, 4, 40, 4),
                    "http.redis": report(CLOSED, 0, 7, 0),
                },
            ),
        ]
    )

    assert found.circuit_breakers == {
        Dependency.DATABASE: report(OPEN, 7, 70, 4),
        Dependency.REDIS: report(CLOSED, 0, 7, 0),
    }
    assert found.degraded_services == [Dependency.DATABASE]


@pytest.mark.parametrize(
    ("database", "redis", "kafka", "health"),
    [
        (CLOSED, CLOSED, CLOSED, OverallHealth.HEALTHY),
        (OPEN, CLOSED, CLOSED, OverallHealth.DEGRADED),
        (CLOSED, HALF_OPEN, CLOSED, OverallHealth.DEGRADED),
        (OPEN, OPEN, HALF_OPEN, OverallHealth.DEGRADED),
        (CLOSED, CLOSED, OPEN, OverallHealth.UNHEALTHY),
        (OPEN, OPEN, OPEN, OverallHealth.UNHEALTHY),
    ],
)
def test_the_system_is_degraded_by_any_breaker_and_unhealthy_without_kafka(
    database: BreakerState, redis: BreakerState, kafka: BreakerState, health: OverallHealth
) -> None:
    states = {"http.database": database, "http.redis": redis, "http.kafka": kafka}

    found = CircuitBreakers.of(
        [process("ingress", breakers={name: report(state) for name, state in states.items()})]
    )

    assert found.overall_health is health
    is_degraded = [state is not CLOSED for state in (database, redis, kafka)]
    assert [name in found.degraded_services for name in Dependency] == is_degraded


def test_every_process_is_shown_also_one_that_does_not_answer() -> None:
    breakers = {"kafka": report(OPEN)}

    found = CircuitBreakers.of([process("student", "2", breakers=breakers), SILENT])

    first, second = found.instances
    assert (first.name, first.service, first.instance) == ("student/2", "student", "2")
    assert (first.is_answering, first.circuit_breakers) == (True, breakers)
    assert (second.name, second.service, second.instance) == (SILENT.name, None, None)
    assert (second.is_answering, second.circuit_breakers) == (False, {})


def test_all_numbers_are_put_together_and_nothing_is_missing() -> None:
    found = stats(all_services())

    assert found.model_dump() == {
        "active_tasks": 3,
        "pending_tasks": 9,
        "completed_tasks": 5,
        "failed_tasks": 7 + 4,
        "workers_online": 3,
        "circuit_breakers": {},
        "saga_transactions": {"active_sagas": 3, "total_sagas": 17},
        "idempotency_cache": {"total_cached_operations": 2, "sample_keys": ["a", "b"]},
        "outbox": {"depth": 7, "age_seconds": 2.5},
        "unavailable": [],
    }


def test_zero_is_a_number_and_not_missing() -> None:
    idle = [process(name, waiting=waits()) for name in ("enrollment", "student", "capacity")]
    nothing = IdempotencyCache(total_cached_operations=0, sample_keys=[])

    found = stats(idle, sagas=Totals(0, 0, 0, 0), unread=0, cached=nothing)

    assert found.unavailable == []
    assert (found.failed_tasks, found.outbox.depth, found.outbox.age_seconds) == (0, 0, 0.0)


def test_what_cannot_be_had_is_null_and_named() -> None:
    found = stats([SILENT], sagas=None, unread=None, cached=NOT_CACHED)

    assert sorted(found.unavailable) == [
        "active_tasks",
        "completed_tasks",
        "failed_tasks",
        "idempotency_cache.sample_keys",
        "idempotency_cache.total_cached_operations",
        "outbox.age_seconds",
        "outbox.depth",
        "pending_tasks",
        "saga_transactions.active_sagas",
        "saga_transactions.total_sagas",
    ]
    assert found.workers_online == 0


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_without_a_word_of_one_service_sums_would_be_too_small_and_are_missing(
    missing: int,
) -> None:
    statuses = all_services()
    del statuses[missing]

    found = stats(statuses)

    assert found.outbox.depth is None
    assert found.failed_tasks is None
    assert found.completed_tasks == 5
    assert found.workers_online == 2


def test_processes_of_one_service_tell_of_one_database() -> None:
    more = [*all_services(), process("capacity", "2", waiting=waits(5, 1.5, 3))]

    found = stats(more)

    assert (found.outbox.depth, found.failed_tasks, found.workers_online) == (1 + 2 + 5, 11, 4)


def test_a_process_that_does_not_know_leaves_it_to_others_of_its_service() -> None:
    more = [*all_services(), process("capacity", "2", waiting=None, has_joined=False)]

    found = stats(more)

    assert (found.outbox.depth, found.workers_online) == (7, 3)


def test_an_ingress_that_knows_of_nobody_else_does_not_know_how_many_are_online() -> None:
    found = stats([process("ingress")])

    assert found.workers_online is None
    assert "workers_online" in found.unavailable
