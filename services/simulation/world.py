"""A simulated world: the servers, every process, what comes from outside, and what goes wrong."""

from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from random import Random
from typing import Final, assert_never

from services.enrollment.model import EnrollmentState
from services.simulation.cluster import Cluster
from services.simulation.database import MemoryDatabase
from services.simulation.generator import process_names
from services.simulation.havoc import Havoc
from services.simulation.life import Life, Servers, Slot
from services.simulation.narrative import Tell, describe, tell_nobody
from services.simulation.operator import Operator
from services.simulation.oracle import Changes, Oracle
from services.simulation.plan import Ambush, Fault, Plan, Poison, Publish, Strike
from services.simulation.scheduler import SECOND_US, Scheduler
from services.simulation.wiring import INDEXES, Poisoned, parts_of
from shared.choreography import TOPICS, Service, subscriptions
from shared.errors import MemberFencedError
from shared.identifiers import EnrollmentId
from shared.outbox import OutboxRow

CALLS_MAX: Final = 400_000
START_US: Final = SECOND_US // 5  # processes start within this time
RESTART_US: Final = SECOND_US  # after a crash of its own, by its supervisor
SETTLING_US: Final = 90 * SECOND_US  # the longest deadline, a session, and time to spare
LOOK_US: Final = SECOND_US // 2
STOP_US: Final = 8 * SECOND_US
AGAIN_US: Final = SECOND_US // 10


class World:
    """Runs one plan; `violations` has what was found to be wrong, and then it stops."""

    def __init__(self, plan: Plan, tell: Tell = tell_nobody) -> None:
        self.plan = plan
        self.violations: list[str] = []
        self.committed: list[OutboxRow] = []  # every event that a service has ever committed
        self.scheduler = Scheduler(CALLS_MAX)
        self._tell = tell
        self._random = Random(plan.seed ^ 0x5EED)
        self._oracle = Oracle(self.violations)
        partitions = {topic.name: plan.setting.partitions for topic in TOPICS}
        self.cluster = Cluster(self.scheduler, self._random, partitions)
        self.databases = {
            service: MemoryDatabase(
                self.scheduler, partial(self._on_commit, service), INDEXES[service]
            )
            for service in Service
        }
        self._poisoned: dict[Service, Poisoned] = {service: set() for service in Service}
        self._refused: dict[Service, set[EnrollmentId]] = {service: set() for service in Service}
        given_up: Poisoned = set()
        for poison in plan.steps:
            if isinstance(poison, Poison):
                self._poison(poison, given_up)
        self._parts = {
            service: parts_of(
                service, plan.setting, self._poisoned[service], self._refused[service]
            )
            for service in Service
        }
        self._operator = Operator(
            self.scheduler, self._random, self.databases, self._parts, given_up
        )
        self._havoc = Havoc(self.scheduler, self.cluster, self.databases, tell)
        self._slots = self._new_slots()
        self._lives: dict[str, Life] = {}
        self._all_lives: list[Life] = []
        self._is_healed = False

    def _new_slots(self) -> dict[str, Slot]:
        names = process_names(self.plan.setting)
        skews = self.plan.setting.skew_us
        return {
            name: Slot(name, Service(name.partition("-")[0]), skew_us)
            for name, skew_us in zip(names, skews, strict=True)
        }

    def _poison(self, poison: Poison, given_up: Poisoned) -> None:
        decision = (poison.event_type, poison.enrollment_id)
        if poison.by_database:
            self._refused[poison.service].add(poison.enrollment_id)
        else:
            self._poisoned[poison.service].add(decision)
        if poison.discard:
            given_up.add(decision)

    def run(self) -> None:
        """Play the plan, heal everything, and go on until all is at rest."""
        for step in self.plan.steps:
            self._schedule(step)
        for name in self._slots:
            self.scheduler.after(self._random.randrange(START_US), partial(self._start, name))
        self.scheduler.run_until(self._healing_us())
        self._heal()
        give_up_us = self.scheduler.now_us + SETTLING_US
        while not self.violations and not self._is_at_rest():
            if self.scheduler.now_us >= give_up_us:
                self.violations.append(f"7: not at rest: {'; '.join(self._unrest())}")
                return
            self.scheduler.run_until(self.scheduler.now_us + LOOK_US)

    def _healing_us(self) -> int:
        ends = [step.at_us for step in self.plan.steps if isinstance(step, Publish)]
        ends += [s.at_us + s.lasts_us for s in self.plan.steps if isinstance(s, Strike)]
        ends += [step.mended_at_us for step in self.plan.steps if isinstance(step, Poison)]
        return max(ends, default=0) + SECOND_US

    def _schedule(self, step: Publish | Strike | Ambush | Poison) -> None:
        match step:
            case Publish():
                self.scheduler.after(step.at_us, partial(self._publish, step))
            case Strike():
                self.scheduler.after(step.at_us, partial(self._strike, step))
            case Ambush():
                self._slots[step.process].ambushes[step.await_number] = step
            case Poison():
                self.scheduler.after(step.mended_at_us, partial(self._mend, step))
            case unreachable:
                assert_never(unreachable)

    def _publish(self, step: Publish) -> None:
        """Systems outside publish again until Kafka has it."""
        if self.cluster.is_down:
            self.scheduler.after(AGAIN_US, partial(self._publish, step))
            return
        self._tell(self.scheduler.now_us, step.tells)
        self.cluster.append(step.topic, step.key, step.value, step.headers)

    def _mend(self, step: Poison) -> None:
        self._poisoned[step.service].discard((step.event_type, step.enrollment_id))
        self._refused[step.service].discard(step.enrollment_id)

    def _start(self, name: str) -> None:
        if name in self._lives:
            return
        slot = self._slots[name]
        servers = Servers(
            self.scheduler, self.cluster, self.databases[slot.service], self.plan.setting
        )
        self._lives[name] = Life(
            slot,
            servers,
            self._parts[slot.service],
            self._random,
            strike=self._spring,
            on_crash=partial(self._on_crash, name),
        )
        self._all_lives.append(self._lives[name])

    def _on_crash(self, name: str, error: BaseException) -> None:
        """A member that was fenced off ends, and is started again; nothing else may fail."""
        life = self._lives.get(name)
        if life is None or life.is_dead:
            return
        if not isinstance(error, MemberFencedError):
            self.violations.append(f"{name} has crashed: {error!r}")
            self.scheduler.stop()
        self._kill(name, RESTART_US, f"ends: {error!r}")

    def _kill(self, name: str, lasts_us: int, how: str = "is killed") -> None:
        life = self._lives.pop(name, None)
        if life is not None:
            self._tell(self.scheduler.now_us, f"{name} {how}")
            life.kill()
        self.scheduler.after(lasts_us, partial(self._start, name))

    def _stop(self, name: str, lasts_us: int) -> None:
        """Stop a process gently; a new one takes its place."""
        life = self._lives.get(name)
        if life is not None:
            self._tell(self.scheduler.now_us, f"{name} is asked to stop")
            life.stop()
            self.scheduler.after(STOP_US, partial(self._end, name, life, lasts_us))

    def _end(self, name: str, life: Life, lasts_us: int) -> None:
        if self._lives.get(name) is life:
            self._kill(name, lasts_us, "has stopped")

    def _freeze(self, name: str, lasts_us: int) -> None:
        life = self._lives.get(name)
        if life is not None and not life.is_frozen:
            self._tell(self.scheduler.now_us, f"{name} stands still")
            life.freeze()
            self.scheduler.after(lasts_us, partial(self._thaw, name, life))

    def _thaw(self, name: str, life: Life) -> None:
        if life.is_frozen and not life.is_dead:
            self._tell(self.scheduler.now_us, f"{name} goes on")
            life.thaw()

    def _spring(self, ambush: Ambush) -> None:
        if self._is_healed:
            return
        match ambush.fault:
            case Fault.KILL:
                self._kill(ambush.process, ambush.lasts_us)
            case Fault.FREEZE:
                self._freeze(ambush.process, ambush.lasts_us)
            case Fault.DISCONNECT:
                self._tell(self.scheduler.now_us, f"{ambush.process} loses a connection")
            case other:
                raise AssertionError(f"{other} does not lie in ambush")

    def _strike(self, step: Strike) -> None:
        match step.fault:
            case Fault.KILL:
                self._kill(step.target, step.lasts_us)
            case Fault.STOP:
                self._stop(step.target, step.lasts_us)
            case Fault.FREEZE:
                self._freeze(step.target, step.lasts_us)
            case Fault.CLOCK_JUMP:
                jump_us = (step.lasts_us - 3 * SECOND_US) // 2
                self._slots[step.target].skew_us += jump_us
                text = f"the clock of {step.target} jumps by {jump_us / SECOND_US:.1f} s"
                self._tell(self.scheduler.now_us, text)
            case _:
                self._havoc.strike(step)

    def _heal(self) -> None:
        """End every fault; what lies in ambush lets everybody pass."""
        self._tell(self.scheduler.now_us, "all faults are over")
        self._is_healed = True
        self._havoc.heal()
        for slot in self._slots.values():
            slot.ambushes.clear()
        for name, life in list(self._lives.items()):
            self._thaw(name, life)
        for name in self._slots:
            self._start(name)

    def close(self) -> None:
        """End everything that is at work: what waits in a greenlet would stay for ever."""
        self._operator.stop()
        for life in self._all_lives:
            life.bury()

    def _is_at_rest(self) -> bool:
        return next(self._unrest(), None) is None

    def _unrest(self) -> Iterator[str]:
        """Say what still moves, or should."""
        for service, database in self.databases.items():
            for table in ("outbox", "dead_letter"):
                if rows := database.rows(table):
                    yield f"{len(rows)} rows in the {table} of {service}"
            offsets = database.next_offsets()
            for key, end in self.cluster.ends([t.name for t in subscriptions(service)]).items():
                if offsets.get(key, 0) < end:
                    yield f"{service} has not read {key.topic}/{key.partition} to its end, {end}"
        enrollments = self.databases[Service.ENROLLMENT].rows("enrollment").values()
        pending = sum(one.state is EnrollmentState.PENDING for one in enrollments)
        if pending:
            yield f"{pending} enrollments are pending"

    def count_sagas(self) -> int:
        """Count the enrollments that were opened or refused."""
        enrollments = self.databases[Service.ENROLLMENT].rows("enrollment").values()
        return sum(one.state is not EnrollmentState.UNOPENED for one in enrollments)

    def digest(self) -> bytes:
        """Hash everything that was written to the topics, how, and how long it took."""
        hashed = sha256(f"{self.scheduler.calls} {self.scheduler.now_us}".encode())
        for topic in TOPICS:
            for record in self.cluster.records(topic.name):
                hashed.update(b"%d %b" % (record.offset(), record.value() or b"-"))
                for _, value in record.headers() or ():
                    hashed.update(value)
        for violation in self.violations:
            hashed.update(violation.encode())
        return hashed.digest()

    def _on_commit(self, service: Service, changes: Changes) -> None:
        self._oracle.on_commit(service, changes)
        if self.violations:
            self.scheduler.stop()
        self.committed += [row for _, _, row in changes.get("outbox", ()) if row is not None]
        if self._tell is not tell_nobody:
            for line in describe(service, changes):
                self._tell(self.scheduler.now_us, line)
