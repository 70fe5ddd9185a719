"""A storm: many faults at once under load, one recovery after the last, and then the judges."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

from deploy.local.services import Count
from loadtests.auditor.history import History
from loadtests.chaos.by_http.asks import Ask, Habits, plan_asks
from loadtests.chaos.by_http.client import HttpClient
from loadtests.chaos.by_http.judging import apart, judge_http_log
from loadtests.chaos.by_http.log import HttpLog, write_http_log
from loadtests.chaos.by_http.report import http_report
from loadtests.chaos.by_http.shown import wrongly_shown
from loadtests.chaos.client import Client
from loadtests.chaos.client_log import Log
from loadtests.chaos.journal import write_client_log
from loadtests.chaos.judging import judge_log
from loadtests.chaos.plan import Fault, plan_storm
from loadtests.chaos.playground import Playground, Say, playground
from loadtests.chaos.playing import Storm
from loadtests.chaos.recovery import Recovery, judge_all, recover
from loadtests.chaos.report import StormReport, Tally, storm_report
from loadtests.chaos.workload import Campus, Message, plan_load, scarce_campus
from loadtests.day.importing import publish_and_wait
from shared.identifiers import StudentId

COUNT: Final = Count(instances=2, ingresses=2)
UNKNOWN_BY_HTTP: Final = StudentId("http-unknown")


@dataclass(frozen=True)
class StormWishes:
    """How long, how much by each way (Kafka and HTTP), and by which seed."""

    seed: int
    minutes: float
    requests_per_second: float

    @property
    def seconds(self) -> float:
        """Give the length of the storm."""
        return self.minutes * 60


@dataclass(frozen=True)
class Load:
    """What is asked for: half of the requests by Kafka, half by HTTP, for the same seats."""

    campus: Campus
    messages: list[Message]
    asks: list[Ask]

    @property
    def students_by_http(self) -> set[str]:
        """Name the students who ask by HTTP, and only so."""
        return {one.student_id for one in self.asks}


def run_storm(state_dir: Path, wishes: StormWishes, say: Say) -> StormReport:
    """Start a stack, break it in every way, heal it, and judge what it did."""
    load = plan_both(wishes)
    with playground(state_dir, COUNT, quick_start=True, say=say) as ground:
        publish_and_wait(ground.kafka_url, load.campus.catalog())
        faults = plan_storm(wishes.seed, wishes.seconds, ground.processes, ground.proxy.links)
        say(f"storm of {wishes.minutes:g} min, seed {wishes.seed}: {len(faults)} faults planned")
        ground.journal.note("plan", seed=wishes.seed, minutes=wishes.minutes, faults=len(faults))
        tally, recovery, log, http_log = _storm(ground, load, faults, say)
        judges = _Judges(ground, load, log, http_log)
        violations = judge_all(ground, [judges.of_kafka, judges.of_http], recovery, say)
    return storm_report(
        wishes.seed,
        tally,
        log,
        planned=len(load.messages),
        recovery=recovery,
        violations=violations,
        http=http_report(http_log),
    )


def plan_both(wishes: StormWishes) -> Load:
    """Make up the load: the same wishes always give the same."""
    requests = max(1, int(wishes.seconds * wishes.requests_per_second))
    random = Random(wishes.seed)
    campus = scarce_campus(random, 2 * requests)
    by_kafka, by_http = campus.students[::2], campus.students[1::2]
    messages = plan_load(
        random, replace(campus, students=by_kafka), requests, wishes.requests_per_second
    )
    asks = plan_asks(
        random,
        [*by_http, UNKNOWN_BY_HTTP],
        list(campus.seats),
        Habits(requests, wishes.requests_per_second),
    )
    return Load(campus, messages, asks)


def _storm(
    ground: Playground, load: Load, faults: list[Fault], say: Say
) -> tuple[Tally, Recovery, Log, HttpLog]:
    client = Client(ground.kafka_url, load.messages)
    http_client = HttpClient(ground.http_urls, load.asks, ground.sign)
    client.start()
    http_client.start()
    try:
        tally = Storm(ground, [client, http_client], say).play(faults)
        recovery = recover(ground, [client, http_client], say)
    finally:
        log, http_log = client.stop(), http_client.stop()
        write_client_log(ground.state_dir, log)
        write_http_log(ground.state_dir, http_log)
    return tally, recovery, log, http_log


@dataclass(frozen=True)
class _Judges:
    """Each judges the promises to its own clients."""

    ground: Playground
    load: Load
    log: Log
    http_log: HttpLog

    def of_kafka(self, history: History) -> list[str]:
        _, others = apart(history, self.load.students_by_http)
        return judge_log(self.log.sent, others)

    def of_http(self, history: History) -> list[str]:
        theirs, _ = apart(history, self.load.students_by_http)
        shown = wrongly_shown(self.ground.http_urls, self.http_log, theirs, self.ground.sign)
        return [*judge_http_log(self.http_log, theirs), *asyncio.run(shown)]
