"""Drills: one fault at a time under a steady load, to measure how soon all is answered again."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from signal import SIGKILL
from time import sleep, time
from typing import Final

from deploy.local.services import Count
from loadtests.chaos.client import Client, ClientError
from loadtests.chaos.client_log import LATE_SECONDS
from loadtests.chaos.drill_report import DrillReport
from loadtests.chaos.inflicting import Inflicter
from loadtests.chaos.journal import write_client_log
from loadtests.chaos.judging import judge_log
from loadtests.chaos.plan import Fault, Kind
from loadtests.chaos.playground import KAFKA, POSTGRES, Playground, Say, link_name, playground
from loadtests.chaos.recovery import judge_all, recover, wait_for
from loadtests.chaos.workload import ample_campus, steady_load
from loadtests.day.importing import publish_and_wait
from shared.choreography import Service

STUDENTS: Final = 4000
SECTIONS: Final = 50
WARM_UP_SECONDS: Final = 10.0
DOWN_SECONDS: Final = 2.0
STEADY_SECONDS: Final = 5.0
RECOVERY_SECONDS_MAX: Final = 90.0
START_SECONDS_MAX: Final = 30.0
SHORT_STALL_SECONDS: Final = 5.0
LONG_STALL_SECONDS: Final = 15.0  # longer than a silent member keeps its partitions
POLL_SECONDS: Final = 0.02


@dataclass(frozen=True)
class DrillWishes:
    """How often each drill is done, and under how much load."""

    seed: int
    repeats: int
    requests_per_second: float


@dataclass(frozen=True)
class Drill:
    """What is done, by name; `inflict` returns when it is over and says when that began to be."""

    name: str
    inflict: Callable[["Drilling"], float]


def _kill(name: str) -> Drill:
    return Drill(f"SIGKILL of {name}", lambda drilling: drilling.kill(name))


def _stall(process: str, server: str, seconds: float) -> Drill:
    name = f"{seconds:.0f} s stall of {link_name(process, server)}"
    return Drill(name, lambda drilling: drilling.stall(process, server, seconds))


# Kafka comes last: it may fence off its members, and who has just come then ends, by intention.
DRILLS: Final = (
    *(_kill(name) for name in (*Service, POSTGRES)),
    _stall(Service.ENROLLMENT, POSTGRES, SHORT_STALL_SECONDS),
    _stall(Service.ENROLLMENT, KAFKA, SHORT_STALL_SECONDS),
    _stall(Service.STUDENT, POSTGRES, LONG_STALL_SECONDS),
    _stall(Service.CAPACITY, KAFKA, LONG_STALL_SECONDS),
    _kill(KAFKA),
)


class Drilling:
    """A running stack under a steady load, and what can be done to it."""

    def __init__(self, ground: Playground, client: Client) -> None:
        self.ground = ground
        self.client = client
        self._inflicter = Inflicter(ground)
        self._token = 0

    def kill(self, name: str) -> float:
        """Kill a process, leave it down, and give the moment when it may be started again."""
        self._inflicter.hold(name)
        killed = self._inflicter.send(name, SIGKILL)
        if killed is None:
            raise ClientError(f"{name} was not running, so it could not be killed")
        sleep(DOWN_SECONDS)
        self._inflicter.release(name)
        released_at = time()
        if not wait_for(
            lambda: self._inflicter.identity(name) not in (None, killed),
            START_SECONDS_MAX,
            POLL_SECONDS,
        ):
            raise ClientError(f"{name} was not started again within {START_SECONDS_MAX:.0f} s")
        return released_at

    def stall(self, process: str, server: str, seconds: float) -> float:
        """Stall a link for a while, and give the moment when it went on."""
        self._token += 1
        fault = Fault(0.0, Kind.STALL, link_name(process, server), seconds)
        self._inflicter.begin(self._token, fault)
        sleep(seconds)
        self._inflicter.end(self._token, fault)
        return time()

    def recovery_seconds(self, since: float) -> float | None:
        """Wait until all is answered in time again, and tell for how long it was not."""
        steady_since = time()
        deadline = steady_since + RECOVERY_SECONDS_MAX
        while time() - steady_since < STEADY_SECONDS:
            self.client.raise_if_failed()
            if self.client.has_sent_all:
                raise ClientError("the load came to its end: repeat the drills less often")
            if self.client.late_seconds() > LATE_SECONDS:
                steady_since = time()
            if time() > deadline:
                return None
            sleep(POLL_SECONDS)
        late = [answered_at for _, answered_at in self.client.log.late if answered_at > since]
        return max((answered_at - since for answered_at in late), default=0.0)


def run_drills(state_dir: Path, wishes: DrillWishes, say: Say) -> DrillReport:
    """Start a stack, do every drill as often as wished, and judge all at the end."""
    campus = ample_campus(STUDENTS, SECTIONS)
    load = steady_load(Random(wishes.seed), campus, wishes.requests_per_second)
    count = Count(instances=1, ingresses=0)
    with playground(state_dir, count, quick_start=False, say=say) as ground:
        publish_and_wait(ground.kafka_url, campus.catalog())
        client = Client(ground.kafka_url, load)
        client.start()
        try:
            seconds = _repeat(Drilling(ground, client), wishes.repeats, say)
            client.send_no_more()
            recovery = recover(ground, [client], say)
        finally:
            log = client.stop()
            write_client_log(ground.state_dir, log)
        violations = judge_all(ground, [partial(judge_log, log.sent)], recovery, say)
    return DrillReport(seconds, len(log.sent), violations)


def _repeat(drilling: Drilling, repeats: int, say: Say) -> dict[str, list[float | None]]:
    say(f"warming up for {WARM_UP_SECONDS:.0f} s")
    sleep(WARM_UP_SECONDS)
    found: dict[str, list[float | None]] = {drill.name: [] for drill in DRILLS}
    for number in range(1, repeats + 1):
        for drill in DRILLS:
            drilling.ground.journal.note("begin", drill=drill.name, repeat=number)
            began_to_be_over_at = drill.inflict(drilling)
            seconds = drilling.recovery_seconds(began_to_be_over_at)
            found[drill.name].append(seconds)
            drilling.ground.journal.note("end", drill=drill.name, seconds=seconds)
            said = "never" if seconds is None else f"{seconds:.2f} s"
            say(f"{number}/{repeats}  {drill.name}: {said}")
    return found
