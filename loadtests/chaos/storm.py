"""A storm: many faults at once under load, one recovery after the last, and then the judges."""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from time import sleep, time
from typing import Final

from loadtests.chaos.client import Client
from loadtests.chaos.client_log import Log
from loadtests.chaos.inflicting import Inflicter
from loadtests.chaos.journal import write_client_log
from loadtests.chaos.plan import Fault, Kind, plan_storm
from loadtests.chaos.playground import LINKED, Playground, Say, link_name, playground
from loadtests.chaos.recovery import Recovery, judge_all, recover
from loadtests.chaos.report import StormReport, Tally, storm_report
from loadtests.chaos.workload import plan_load, scarce_campus
from loadtests.day.importing import publish_and_wait

INSTANCES: Final = 2
FIND_AGAIN_SECONDS: Final = 0.2
FIND_SECONDS_MAX: Final = 15.0  # a process that is down is killed when it runs, or not at all
TICK_SECONDS: Final = 0.05
NEWS_SECONDS: Final = 10.0


@dataclass(frozen=True)
class StormWishes:
    """How long, how much, and by which seed."""

    seed: int
    minutes: float
    requests_per_second: float


def run_storm(state_dir: Path, wishes: StormWishes, say: Say) -> StormReport:
    """Start a stack, break it in every way, heal it, and judge what it did."""
    seconds = wishes.minutes * 60
    requests = max(1, int(seconds * wishes.requests_per_second))
    random = Random(wishes.seed)
    campus = scarce_campus(random, requests)
    load = plan_load(random, campus, requests, wishes.requests_per_second)
    with playground(state_dir, instances=INSTANCES, quick_start=True, say=say) as ground:
        publish_and_wait(ground.kafka_url, campus.catalog())
        client = Client(ground.kafka_url, load)
        faults = plan_storm(wishes.seed, seconds, ground.processes, _links(ground))
        say(f"storm of {wishes.minutes:g} min, seed {wishes.seed}: {len(faults)} faults planned")
        ground.journal.note("plan", seed=wishes.seed, minutes=wishes.minutes, faults=len(faults))
        client.start()
        tally, recovery, log = _storm(ground, client, faults, say)
        violations = judge_all(ground, log, recovery, say)
    return storm_report(
        wishes.seed,
        tally,
        log,
        planned=len(load),
        recovery=recovery,
        violations=violations,
    )


def _links(ground: Playground) -> list[str]:
    return [link_name(process, server) for process in ground.processes for server in LINKED]


def _storm(
    ground: Playground, client: Client, faults: list[Fault], say: Say
) -> tuple[Tally, Recovery, Log]:
    try:
        tally = Storm(ground, client, say).play(faults)
        recovery = recover(ground, client, say)
    finally:
        log = client.stop()
        write_client_log(ground.state_dir, log)
    return tally, recovery, log


@dataclass(order=True)
class _Due:
    """A fault that begins, or ends, at a moment; `token` tells faults apart."""

    at: float
    token: int
    is_end: bool = False
    fault: Fault = field(compare=False, kw_only=True)
    give_up_at: float = field(compare=False, kw_only=True)


class Storm:
    """Plays the faults of a plan on time, one after the other, on the caller's thread."""

    def __init__(self, ground: Playground, client: Client, say: Say) -> None:
        self._ground = ground
        self._client = client
        self._say = say
        self._inflicter = Inflicter(ground)
        self._due: list[_Due] = []
        self._tally = Tally()
        self._told_at = time()

    def play(self, faults: list[Fault]) -> Tally:
        """Play everything; whatever happens, all is healed at the end."""
        self._tally.began_at = time()
        for token, fault in enumerate(faults):
            at = self._tally.began_at + fault.at_seconds
            heappush(self._due, _Due(at, token, fault=fault, give_up_at=at + FIND_SECONDS_MAX))
        try:
            while self._due:
                self._do_next()
        finally:
            for due in self._due:
                if due.is_end:
                    self._inflicter.end(due.token, due.fault)
            self._tally.last_fault_at = time()
            self._ground.journal.note("healed")
        return self._tally

    def _do_next(self) -> None:
        now = time()
        self._client.raise_if_failed()
        self._tell_if_due(now)
        if self._due[0].at > now:
            sleep(min(TICK_SECONDS, self._due[0].at - now))
            return
        due = heappop(self._due)
        if due.is_end:
            self._inflicter.end(due.token, due.fault)
            self._note("end", due)
        elif self._inflicter.begin(due.token, due.fault):
            self._begun(due, now)
        elif now < due.give_up_at:
            due.at = now + FIND_AGAIN_SECONDS
            heappush(self._due, due)
        else:
            self._tally.missed += 1
            self._note("missed", due)

    def _begun(self, due: _Due, now: float) -> None:
        self._tally.inflicted[due.fault.kind, due.fault.target] += 1
        self._note("begin", due)
        if due.fault.kind is not Kind.KILL:
            due.at, due.is_end = now + due.fault.duration_seconds, True
            heappush(self._due, due)

    def _note(self, what: str, due: _Due) -> None:
        fault = due.fault
        self._ground.journal.note(
            what,
            fault=due.token,
            kind=fault.kind,
            target=fault.target,
            planned_at_seconds=fault.at_seconds,
            duration_seconds=fault.duration_seconds,
        )

    def _tell_if_due(self, now: float) -> None:
        if now - self._told_at < NEWS_SECONDS:
            return
        self._told_at = now
        client, tally = self._client, self._tally
        self._say(
            f"{now - tally.began_at:5.0f} s  faults {tally.inflicted.total()}  "
            f"kills {tally.kills}  sent {client.sent:,}  "
            f"unacknowledged {client.unacknowledged:,}  decided {client.decided:,}"
        )
