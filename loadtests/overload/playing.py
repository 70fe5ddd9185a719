"""Climbs to the peak, takes it again while the generator has more to do, then offers twice it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from deploy.local import postgres, services
from deploy.local.status import Status
from loadtests.chaos.playground import Say
from loadtests.overload.ballast import Offered, ballast
from loadtests.overload.generator import Generator
from loadtests.overload.ledger import Ledger
from loadtests.overload.report import Played
from loadtests.overload.requests import Requests
from loadtests.overload.stages import Stage, Stages
from loadtests.overload.watching import Ingresses, Outcomes
from loadtests.plain_http.client import Address, address_of
from shared.choreography import Service

MODEST_SHARE: Final = 0.4  # of the peak: the rate before and after


@dataclass(frozen=True)
class Wishes:
    """How the load climbs, how far above the peak it goes, and for how long."""

    first_rate: float = 200.0
    step_factor: float = 1.25
    step_seconds: float = 15.0
    steps_max: int = 20
    warm_up_seconds: float = 40.0  # the broker compiles itself meanwhile
    overload_factor: float = 2.0
    overload_seconds: float = 60.0
    students: int = 8000
    sections: int = 50
    ingresses: int = 1
    quick_start: bool = False  # of the broker, which is slower for it later


@dataclass(frozen=True)
class Ground:
    """The stack that runs, and what it is asked."""

    found: Status
    requests: Requests

    @property
    def kafka_url(self) -> str:
        url = self.found.servers.kafka.url
        assert url is not None
        return url

    @property
    def database_urls(self) -> dict[str, str]:
        url = self.found.servers.postgres.url
        assert url is not None
        return {name: postgres.role_url(url, name) for name in (*Service, services.INGRESS)}

    @property
    def addresses(self) -> list[Address]:
        """Where the ingresses listen."""
        return [address_of(one.url) for one in self.found.services.values() if one.url is not None]

    @property
    def pids(self) -> list[int]:
        """Which processes the ingresses are."""
        pids = [one.pid for one in self.found.services.values() if one.url is not None]
        return [pid for pid in pids if pid is not None]


async def play(ground: Ground, wishes: Wishes, say: Say) -> Played:
    """Play all stages."""
    ledger, ingresses = Ledger(), Ingresses(ground.pids)
    outcomes = Outcomes(ground.kafka_url)
    generator = Generator(ground.addresses, ground.requests, ledger, outcomes.expect)
    stages = Stages(generator, ledger, outcomes, ingresses, say)
    async with _closing(generator, outcomes), _beside(outcomes, ingresses):
        await stages.play("warm-up", wishes.first_rate, wishes.warm_up_seconds)
        steps = await stages.climb(
            wishes.first_rate, wishes.step_factor, wishes.step_seconds, wishes.steps_max
        )
        most = max(step.goodput for step in steps)
        sustained = await stages.play("sustained", most, wishes.overload_seconds)
        peak = sustained.goodput
        modest_rate = peak * MODEST_SHARE
        before = await stages.play("before", modest_rate, wishes.step_seconds)
        memory_before = ingresses.memory_mb()
        reference, offered = await _reference(stages, ground.requests, peak, wishes)
        too_much = peak * wishes.overload_factor
        overload = await stages.play("overload", too_much, wishes.overload_seconds)
        after = await stages.play("after", modest_rate, wishes.step_seconds)
        memory_after = ingresses.memory_mb()
    memory_mb = {"before": memory_before, "most": overload.memory_mb, "after": memory_after}
    return Played(
        steps=steps,
        sustained=sustained,
        before=before,
        reference=reference,
        ballast=offered,
        overload=overload,
        after=after,
        memory_mb=memory_mb,
        without_retry_after=ledger.without_retry_after,
    )


async def _reference(
    stages: Stages, requests: Requests, peak: float, wishes: Wishes
) -> tuple[Stage, Offered]:
    """Offer the peak again while the generator sends as much in all as in the overload.

    It has a part of the machine that the system had at its peak: without this, what the generator
    takes would be counted as what the overload takes.
    """
    seconds = wishes.overload_seconds
    async with ballast(requests) as beside, asyncio.TaskGroup() as group:
        offering = group.create_task(beside.offer(peak * (wishes.overload_factor - 1), seconds))
        reference = await stages.play("peak beside ballast", peak, seconds)
    return reference, offering.result()


@asynccontextmanager
async def _closing(generator: Generator, outcomes: Outcomes) -> AsyncIterator[None]:
    """Leave the ingresses and Kafka after a block, however it ends."""
    try:
        yield
    finally:
        await generator.close()
        outcomes.close()


@asynccontextmanager
async def _beside(outcomes: Outcomes, ingresses: Ingresses) -> AsyncIterator[None]:
    """Read outcomes and memory for a block; where one of both fails, so does the block."""
    async with asyncio.TaskGroup() as group:
        watches = [
            group.create_task(outcomes.read_for_ever()),
            group.create_task(ingresses.watch_for_ever()),
        ]
        yield
        for watch in watches:
            watch.cancel()
