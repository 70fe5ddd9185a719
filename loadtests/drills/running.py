"""Drills each alert on a stack of its own: cause it, see it fire, lift it, see it go."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep, time
from typing import Final, NamedTuple

from deploy.local import prometheus, stack
from deploy.local.errors import StackError
from deploy.monitoring.alerts import ALERTS
from loadtests.chaos.playground import Say
from loadtests.chaos.recovery import wait_for
from loadtests.chaos.report import shown_seconds
from loadtests.drills.alarms import Alarm, Alarms, watching
from loadtests.drills.load import Clients, plan_load
from loadtests.drills.report import Drilled, DrillsReport
from loadtests.drills.scene import Scene, scene
from loadtests.drills.table import DRILLS, Drill

WARM_UP_SECONDS: Final = 5.0
SETTLE_SECONDS_MAX: Final = 90.0  # the longest of the short windows is 30 s
FIRE_SECONDS_MAX: Final = 90.0
RESOLVE_SECONDS_MAX: Final = 90.0
READY_SECONDS_MAX: Final = 90.0
LOAD_SECONDS: Final = 120.0  # for each drill; it hardly ever takes so long
POLL_SECONDS: Final = 0.1
WAITS: Final = {one.name: one.wait_seconds > 0 for one in ALERTS}


@dataclass(frozen=True)
class Wishes:
    """Which alerts, and for how long all is well before; `calm_seconds` may be 0."""

    alerts: Sequence[str]
    calm_seconds: float


def run_drills(state_dir: Path, wishes: Wishes, say: Say) -> DrillsReport:
    """Start a stack and a Prometheus, do each drill that is wished for, and judge all."""
    prometheus.fetch(say)
    seconds_max = LOAD_SECONDS * (2 + len(wishes.alerts)) + wishes.calm_seconds
    load = plan_load(seconds_max)
    with (
        scene(state_dir, load, say) as running,
        watching(running.ground.state_dir, running.ground.plans) as alarms,
    ):
        clients = Clients(running.ground, load)
        clients.start()
        try:
            drilling = _Drilling(running, alarms, clients, say)
            sleep(WARM_UP_SECONDS)
            calm = drilling.calm(wishes.calm_seconds)
            drilled = [drilling.drill(name, DRILLS[name]) for name in wishes.alerts]
        except BaseException:
            clients.stop()
            raise
        return DrillsReport(wishes.calm_seconds, calm, drilled, clients.finish(say))


class Seen(NamedTuple):
    """An alert that fires, and what it is about."""

    name: str
    of: str

    def __str__(self) -> str:
        return f"{self.name} ({self.of})" if self.of else self.name


@dataclass
class _Drilling:
    scene: Scene
    alarms: Alarms
    clients: Clients
    say: Say
    _seen: set[Seen] = field(default_factory=set)  # what fires that was not there before

    def calm(self, seconds: float) -> list[str]:
        """Give what fires though nothing is wrong, once what the start has brought is over."""
        if not seconds:
            return []
        self._until(lambda now: not now, since=0.0, seconds_max=SETTLE_SECONDS_MAX)
        self.say(f"{seconds:.0f} s in which nothing may fire")
        self._seen = set()
        self._until(lambda _now: False, since=0.0, seconds_max=seconds)
        return sorted(map(str, self._seen))

    def drill(self, name: str, drill: Drill) -> Drilled:
        """Do one drill."""
        self._be_ready(name)
        self.say(f"{name}: {drill.words}")
        self.scene.ground.journal.note("begin", alert=name)
        self._seen, began_at = set(), time()
        with drill.fault(self.scene):
            has_fired = self._until(lambda now: name in _firing(now), began_at, FIRE_SECONDS_MAX)
            ended_at = time()
            was_pending = self.alarms.was_pending(name, ended_at - began_at + 1)
        is_gone = self._until(lambda now: name not in _names(now), began_at, RESOLVE_SECONDS_MAX)
        drilled = Drilled(
            alert=name,
            words=drill.words,
            fire_seconds=round(ended_at - began_at, 1) if has_fired else None,
            resolve_seconds=round(time() - ended_at, 1) if is_gone else None,
            was_pending=was_pending if WAITS[name] else None,
            others=sorted(str(one) for one in self._seen if one.name != name),
        )
        self._tell(drilled)
        return drilled

    def _be_ready(self, name: str) -> None:
        """Wait until all processes are ready, and the alert is not there."""

        def is_ready(now: Sequence[Alarm]) -> bool:
            return name not in _names(now) and stack.status(self.scene.ground.state_dir).is_up

        if not self._until(is_ready, time(), READY_SECONDS_MAX):
            states = stack.status(self.scene.ground.state_dir).states()
            there = ", ".join(sorted(_names(self.alarms.read())))
            raise StackError(f"no drill of {name} can begin: {states}; alerts: {there}")

    def _until(
        self, is_so: Callable[[Sequence[Alarm]], bool], since: float, seconds_max: float
    ) -> bool:
        """Tell whether it came to be so in time; note all that fires and began `since` then."""

        def look() -> bool:
            self.clients.raise_if_failed()
            now = self.alarms.read()
            self._seen |= {
                Seen(one.name, one.of) for one in now if one.is_firing and one.since >= since
            }
            return is_so(now)

        return wait_for(look, seconds_max, POLL_SECONDS)

    def _tell(self, one: Drilled) -> None:
        self.scene.ground.journal.note(
            "end", alert=one.alert, fire=one.fire_seconds, resolve=one.resolve_seconds
        )
        fire, resolve = shown_seconds(one.fire_seconds), shown_seconds(one.resolve_seconds)
        others = ", ".join(one.others) or "nothing"
        self.say(f"  fires after {fire}, resolves after {resolve}; also fired: {others}")


def _names(alarms: Iterable[Alarm]) -> set[str]:
    return {one.name for one in alarms}


def _firing(alarms: Iterable[Alarm]) -> set[str]:
    return {one.name for one in alarms if one.is_firing}
