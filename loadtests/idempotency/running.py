"""Asks on a stack of its own while Redis fails, and judges answers, topics and tables."""

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from deploy.local.services import Count
from loadtests.auditor.databases import connect, read_tables
from loadtests.auditor.tables import EnrollmentRow
from loadtests.chaos.by_http.asks import Ask, Habits, plan_asks
from loadtests.chaos.by_http.client import HttpClient
from loadtests.chaos.by_http.judging import judge_http_log
from loadtests.chaos.by_http.log import write_http_log
from loadtests.chaos.playground import Playground, Say, playground
from loadtests.chaos.playing import Storm
from loadtests.chaos.recovery import judge_all, recover
from loadtests.chaos.workload import Campus, scarce_campus
from loadtests.day.importing import publish_and_wait
from loadtests.idempotency.faults import plan_faults
from loadtests.idempotency.judging import judge_table, refused_without_redis
from loadtests.idempotency.report import IdempotencyReport, idempotency_report

COUNT: Final = Count(instances=1, ingresses=2)
TO_REDIS: Final = ">redis"


@dataclass(frozen=True)
class Wishes:
    """How many requests, how fast, and by which seed."""

    seed: int
    requests: int
    requests_per_second: float
    fault_spacing_seconds: float = 2.5  # breakers close in between, now and then

    @property
    def habits(self) -> Habits:
        """Repeat three requests of ten: at the same moment, later, after a lost connection."""
        return Habits(
            self.requests,
            self.requests_per_second,
            keyless=0.0,
            together=0.1,
            together_max=2,
            hang_up=0.1,
            later=0.1,
            other_body=0.0,
            cancel=0.0,
            look=0.0,
        )


def run_idempotency(state_dir: Path, wishes: Wishes, say: Say) -> IdempotencyReport:
    """Start a stack, ask while Redis fails, and judge what came of it."""
    campus, asks = plan(wishes)
    seconds = wishes.requests / wishes.requests_per_second
    with playground(state_dir, COUNT, quick_start=True, say=say) as ground:
        publish_and_wait(ground.kafka_url, campus.catalog())
        links = [link for link in ground.proxy.links if link.endswith(TO_REDIS)]
        faults = plan_faults(wishes.seed, seconds, wishes.fault_spacing_seconds, links)
        client = HttpClient(ground.http_urls, asks, ground.sign)
        say(f"{wishes.requests:,} requests, {len(asks):,} asks, {len(faults)} faults of Redis")
        client.start()
        try:
            tally = Storm(ground, [client], say).play(faults)
            recovery = recover(ground, [client], say)
        finally:
            log = client.stop()
            write_http_log(ground.state_dir, log)
        violations = judge_all(ground, [partial(judge_http_log, log)], recovery, say)
        rows = asyncio.run(_rows(ground))
    violations += [*judge_table(rows, asks, log), *refused_without_redis(log)]
    return idempotency_report(
        wishes.seed, wishes.requests, tally, log, rows=len(rows), violations=violations
    )


def plan(wishes: Wishes) -> tuple[Campus, list[Ask]]:
    """Make up the load: the same wishes always give the same."""
    random = Random(wishes.seed)
    campus = scarce_campus(random, wishes.requests)
    asks = plan_asks(random, campus.students, list(campus.seats), wishes.habits)
    return campus, asks


async def _rows(ground: Playground) -> list[EnrollmentRow]:
    async with connect(ground.database_urls) as connections:
        return list((await read_tables(connections)).enrollments.values())
