"""Starts a stack of its own, climbs to its peak, offers twice that, and judges all of it."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import uvloop

from deploy.local import keys, postgres, services, stack
from deploy.local.services import Count
from deploy.local.state import Plan
from deploy.local.status import Status
from deploy.local.tokens import issuer_with
from loadtests.chaos.journal import opened_journal
from loadtests.chaos.playground import Say, refuse_what_is_not_ours
from loadtests.chaos.workload import Campus, ample_campus
from loadtests.day.importing import publish_and_wait
from loadtests.day.running import audited
from loadtests.overload.generator import Generator
from loadtests.overload.ledger import Ledger
from loadtests.overload.report import OverloadReport, Played
from loadtests.overload.requests import Requests
from loadtests.overload.stages import Stages
from loadtests.overload.watching import Ingresses, Outcomes
from shared.choreography import Service
from shared.clock import system_clock

CLIENT: Final = "overload"
TOKEN_SECONDS: Final = 86_400  # longer than any of this takes
MODEST_SHARE: Final = 0.4  # of the peak: the rate before and after


@dataclass(frozen=True)
class Wishes:
    """How the load climbs, how far above the peak it goes, and for how long."""

    first_rate: float = 200.0
    step_factor: float = 1.25
    step_seconds: float = 15.0
    warm_up_seconds: float = 40.0  # the broker compiles itself meanwhile
    overload_factor: float = 2.0
    overload_seconds: float = 60.0
    students: int = 8000
    sections: int = 50
    ingresses: int = 1
    quick_start: bool = False  # of the broker, which is slower for it later


@dataclass(frozen=True)
class _Ground:
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
    def addresses(self) -> list[tuple[str, int]]:
        """Where the ingresses listen."""
        urls = [urlsplit(one.url) for one in self.found.services.values() if one.url is not None]
        return [(str(url.hostname), int(url.port or 0)) for url in urls]

    @property
    def pids(self) -> list[int]:
        """Which processes the ingresses are."""
        pids = [one.pid for one in self.found.services.values() if one.url is not None]
        return [pid for pid in pids if pid is not None]


def run_overload(state_dir: Path, wishes: Wishes, say: Say) -> OverloadReport:
    """Play all stages and audit what they left."""
    load_before = os.getloadavg()[0]
    campus = ample_campus(wishes.students, wishes.sections)
    with _running(state_dir, wishes, say) as found:
        say("signing the students' tokens")
        ground = _Ground(found, Requests(campus, _tokens(state_dir, campus)))
        publish_and_wait(ground.kafka_url, campus.catalog())
        played = uvloop.run(_play(ground, wishes, say))
        load = (load_before, os.getloadavg()[0])
        violations = audited(ground.kafka_url, ground.database_urls, say)
    return OverloadReport(played, load, violations)


@contextmanager
def _running(state_dir: Path, wishes: Wishes, say: Say) -> Iterator[Status]:
    """Run a new stack for the block; the data stays to be looked at."""
    refuse_what_is_not_ours(state_dir)
    stack.down(state_dir, wipe=True)
    count = Count(instances=1, ingresses=wishes.ingresses)
    plan = Plan(services=services.plan(count), quick_start=wishes.quick_start)
    with opened_journal(state_dir):  # by which the next run knows that it may wipe all this
        try:
            yield stack.up(state_dir, plan=plan, on_progress=say)
        finally:
            say("stopping what was started")
            stack.down(state_dir)


def _tokens(state_dir: Path, campus: Campus) -> list[str]:
    issuer = issuer_with(keys.private_key_file(state_dir))
    now = system_clock()
    return [
        issuer.student(student, client=CLIENT, now=now, lifetime_seconds=TOKEN_SECONDS)
        for student in campus.students
    ]


async def _play(ground: _Ground, wishes: Wishes, say: Say) -> Played:
    ledger, ingresses = Ledger(), Ingresses(ground.pids)
    outcomes = Outcomes(ground.kafka_url)
    generator = Generator(ground.addresses, ground.requests, ledger, outcomes.expect)
    stages = Stages(generator, ledger, outcomes, ingresses, say)
    async with _beside(outcomes, ingresses):
        await stages.play("warm-up", wishes.first_rate, wishes.warm_up_seconds)
        steps = await stages.climb(wishes.first_rate, wishes.step_factor, wishes.step_seconds)
        peak = max(step.goodput for step in steps)
        modest_rate = peak * MODEST_SHARE
        before = await stages.play("before", modest_rate, wishes.step_seconds)
        memory_before = ingresses.memory_mb()
        too_much = peak * wishes.overload_factor
        overload = await stages.play("overload", too_much, wishes.overload_seconds)
        after = await stages.play("after", modest_rate, wishes.step_seconds)
        memory_after = ingresses.memory_mb()
    await generator.close()
    outcomes.close()
    return Played(
        steps=steps,
        before=before,
        overload=overload,
        after=after,
        memory_mb={
            "before": memory_before,
            "most": overload.memory_mb,
            "after": memory_after,
        },
        without_retry_after=ledger.without_retry_after,
    )


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
