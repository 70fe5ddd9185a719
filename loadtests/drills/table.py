"""The table of drills: for each alert, what is done that it fires."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from deploy.local.valkey import NAME as REDIS
from loadtests.chaos.plan import Kind
from loadtests.chaos.playground import KAFKA, POSTGRES, link_name
from loadtests.drills.asking import cancelled_meanwhile, hasty_requests, many_readers
from loadtests.drills.faults import held, in_turn, inflicted, without_collector
from loadtests.drills.in_databases import lease_taken, locked, old_snapshot
from loadtests.drills.in_kafka import (
    closed_topic,
    deleted_beyond,
    garbage,
    half_dealt,
    publish_many,
)
from loadtests.drills.scene import Scene
from services.cli.target import INGRESS
from shared.choreography import CAPACITY_EVENTS, Service

MANY: Final = 15_000  # three times as many as are too many


@dataclass(frozen=True)
class Drill:
    """What is done, in words, and the block for which it is so."""

    words: str
    fault: Callable[[Scene], AbstractContextManager[None]]


def _away(name: str) -> Callable[[Scene], AbstractContextManager[None]]:
    return lambda scene: held(scene, name)


def _cut(process: str, server: str) -> Callable[[Scene], AbstractContextManager[None]]:
    return lambda scene: inflicted(scene, Kind.CUT, link_name(process, server))


def _slow_reservations(scene: Scene) -> AbstractContextManager[None]:
    """Most enrollments then take longer than the objective's second."""
    return in_turn(partial(locked, scene, Service.CAPACITY, "reservation"), 2.0, 0.3)


@contextmanager
def _flood(scene: Scene) -> Iterator[None]:
    with in_turn(partial(locked, scene, Service.STUDENT, "student"), 1.5, 0.05):
        publish_many(scene, MANY)
        yield


@contextmanager
def _late_for_all(scene: Scene) -> Iterator[None]:
    with held(scene, Service.CAPACITY), hasty_requests(scene):
        yield


@contextmanager
def _slow_reads(scene: Scene) -> Iterator[None]:
    with (
        in_turn(partial(locked, scene, INGRESS, "viewed_enrollment"), 0.4, 0.05),
        many_readers(scene),
    ):
        yield


def _hiccups(scene: Scene) -> AbstractContextManager[None]:
    return in_turn(partial(inflicted, scene, Kind.STOP, Service.STUDENT), 0.8, 0.3)


SLOW: Final = "capacity's reservations are locked for 2 s, again and again"
NO_KAFKA: Final = "the ingress is cut off from Kafka"

DRILLS: Final[Mapping[str, Drill]] = {
    "ProcessAway": Drill("student is stopped", _away(Service.STUDENT)),
    "ReadingStandsStill": Drill(
        "another session locks capacity's reservations",
        lambda scene: locked(scene, Service.CAPACITY, "reservation"),
    ),
    "LagIsHigh": Drill(f"{MANY:,} students are published while a lock slows student down", _flood),
    "PartitionsUnowned": Drill(
        "the second half of a rebalance of capacity's group is lost",
        lambda scene: half_dealt(scene, Service.CAPACITY),
    ),
    "OutboxIsBlocked": Drill(
        "the topic of capacity's events refuses every message",
        lambda scene: closed_topic(scene, CAPACITY_EVENTS),
    ),
    "NobodyRelays": Drill(
        "another session takes the lease of capacity's relay",
        lambda scene: lease_taken(scene, Service.CAPACITY),
    ),
    "DatabaseIsAway": Drill(
        "capacity is cut off from PostgreSQL", _cut(Service.CAPACITY, POSTGRES)
    ),
    "BreakerStaysOpen": Drill("the ingress is cut off from Redis", _cut(INGRESS, REDIS)),
    "EnrollmentsOverdue": Drill("capacity is stopped", _away(Service.CAPACITY)),
    "DeadlinesPass": Drill(
        "capacity is stopped, and requests have a second's deadline", _late_for_all
    ),
    "CompensationsLinger": Drill(
        "enrollments are cancelled while capacity is stopped", cancelled_meanwhile
    ),
    "DeadLettersWait": Drill("a request is no JSON; an operator discards it", garbage),
    "ViewIsOld": Drill(NO_KAFKA, _cut(INGRESS, KAFKA)),
    "TransactionIsLong": Drill(
        "another session of capacity's database keeps a snapshot",
        lambda scene: old_snapshot(scene, Service.CAPACITY, "section"),
    ),
    "PoolIsUsedUp": Drill("many read by HTTP what is locked now and then", _slow_reads),
    "EventLoopIsLate": Drill("student is stopped for 0.8 s, again and again", _hiccups),
    "SpansAreLost": Drill("nobody reaches the collector of spans", without_collector),
    "OutcomesBurnsFast": Drill(SLOW, _slow_reservations),
    "OutcomesBurnsSlowly": Drill(SLOW, _slow_reservations),
    "AvailabilityBurnsFast": Drill(NO_KAFKA, _cut(INGRESS, KAFKA)),
    "AvailabilityBurnsSlowly": Drill(NO_KAFKA, _cut(INGRESS, KAFKA)),
    "PartitionsOutOfRange": Drill(
        "what student has not read is deleted; an operator deletes its offset",
        lambda scene: deleted_beyond(scene, Service.STUDENT),
    ),
}
