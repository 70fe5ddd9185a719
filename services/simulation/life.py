"""One life of a simulated process: the consumer's thread, its worker, the relay and the timers."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from random import Random
from typing import Any, Final

from services.enrollment.handlers import reject_overdue
from services.enrollment.wiring import move_gate
from services.simulation.client import SimulatedClient
from services.simulation.cluster import Cluster
from services.simulation.database import MemoryDatabase
from services.simulation.lease import MemoryLease
from services.simulation.plan import Ambush, Fault, Setting
from services.simulation.publisher import SimulatedPublisher
from services.simulation.runtime import (
    SimulatedBell,
    SimulatedRun,
    Unguarded,
    event_id_at,
    moment,
    sleep,
)
from services.simulation.scheduler import SECOND_US, Scheduler, Task, Thread, pause
from services.simulation.stores import enrollment
from services.simulation.unit import MemoryDeadlineUnit, open_units
from services.simulation.wiring import SimulatedParts, policy_of
from shared import catalogs
from shared.choreography import Service, patient_events, subscriptions
from shared.codec import interest_in
from shared.consumer import BatchConsumer
from shared.consumer_settings import consumer_settings
from shared.desk import ReadBatch
from shared.gates import Gates
from shared.identifiers import EventId, PartitionKey
from shared.relay import Relay
from shared.retry import is_transient_database_error
from shared.worker import Handled, Worker

SESSION_SECONDS: Final = 10.0
POLL_SECONDS: Final = 2.0  # an idle poll costs the simulator something, and tells it nothing
TICK_SECONDS: Final = 0.5
OFFSETS_SECONDS: Final = 3.0
BATCH_SIZE_MAX: Final = 20
SLOW_SHARE: Final = 0.02
SLOW_FACTOR: Final = 30


@dataclass(slots=True)
class Slot:
    """A process as its supervisor sees it: what outlasts its lives."""

    name: str
    service: Service
    skew_us: int
    ambushes: dict[int, Ambush] = field(default_factory=dict)
    awaits: int = 0


@dataclass(frozen=True, slots=True)
class Servers:
    """What a process of a service connects to."""

    scheduler: Scheduler
    cluster: Cluster
    database: MemoryDatabase
    setting: Setting


class Life:
    """A process from its start until it is killed. It is the Process of the simulated servers,
    and the Desk of its own consumer."""

    def __init__(
        self,
        slot: Slot,
        servers: Servers,
        parts: SimulatedParts,
        random: Random,
        *,
        strike: Callable[[Ambush], None],
        on_crash: Callable[[BaseException], None],
    ) -> None:
        self.is_dead = False
        self.slot = slot
        self._servers = servers
        self._parts = parts
        self._random = random
        self._strike = strike
        self._on_crash = on_crash
        self._gates = Gates()
        self._tasks: list[Task] = []
        self.is_frozen = False
        self._topics = subscriptions(slot.service)
        self._open_unit = open_units(
            servers.database, self, parts.load, parts.save, self._new_event_id
        )
        self._worker = self._new_worker()
        self._relay = self._new_relay()
        self._consumer = self._new_consumer()
        self._thread = Thread(servers.scheduler, self._consume)
        catalogs.close_until_read(self._gates, self._topics)
        self._start_tasks()

    def _new_worker(self) -> Worker[Any]:
        return Worker(
            self._open_unit,
            self._parts.reactions,
            self.now,
            database_breaker=Unguarded(),
            on_handled=self._on_handled,
            sleep=sleep,
            random=self._random.random,
        )

    def _new_relay(self) -> Relay:
        source = f"/services/{self.slot.service}"
        return Relay(
            lambda: MemoryLease(self._servers.database, self),
            lambda: SimulatedPublisher(self._servers.cluster, self, source),
            kafka_breaker=Unguarded(),
            batch_size_max=BATCH_SIZE_MAX,
            on_published=lambda _rows: None,
            bell=SimulatedBell(self._servers.scheduler, self._servers.database),
            sleep=sleep,
        )

    def _new_consumer(self) -> BatchConsumer:
        service, _, number = self.slot.name.partition("-")
        scheduler = self._servers.scheduler
        return BatchConsumer(
            consumer_settings("simulated", service, number, SESSION_SECONDS),
            [topic.name for topic in self._topics],
            self,
            interest_in=partial(
                interest_in,
                wanted=self._parts.reactions.keys(),
                patient=patient_events(self.slot.service),
            ),
            batch_size_max=BATCH_SIZE_MAX,
            interval_seconds_max=self._servers.setting.latency_us / SECOND_US,
            new_client=lambda settings: SimulatedClient(
                settings, self._servers.cluster, self, lambda: self._thread
            ),
            monotonic=lambda: scheduler.now_us / SECOND_US,
            poll_seconds=POLL_SECONDS,
        )

    def _start_tasks(self) -> None:
        work = [self._relay.run(), self._read_catalogs_first()]
        if self.slot.service is Service.ENROLLMENT:
            work += [self._every_tick(self._reject_overdue), self._every_tick(self._look_at_intake)]
        for one in work:
            task = self._start(one)
            task.done.waiting.append(partial(self._ended, task))

    def _start(self, work: Coroutine[Any, Any, Any]) -> Task:
        task = Task(self._servers.scheduler, work)
        if self.is_frozen:
            task.freeze()
        self._tasks = [one for one in self._tasks if not one.done.is_set]
        self._tasks.append(task)
        return task

    def _ended(self, task: Task) -> None:
        """A real process ends with the error of any of its parts, and is started again."""
        if self.is_dead:
            return
        try:
            task.done.result()
        except Exception as error:  # noqa: BLE001  whatever it was
            self._on_crash(error)

    def _consume(self) -> None:
        self._consumer.run()
        if self._consumer.failure is not None:
            self._on_crash(self._consumer.failure)

    def now(self) -> datetime:
        """Tell the time by this process's clock."""
        return moment(self._now_us())

    def _now_us(self) -> int:
        return self._servers.scheduler.now_us + self.slot.skew_us

    def _new_event_id(self) -> EventId:
        return event_id_at(self._now_us(), self._random)

    async def reach(self, point: str) -> None:
        """Let time pass at every await of a port, and strike what lies in ambush there."""
        slot = self.slot
        slot.awaits += 1
        ambush = slot.ambushes.pop(slot.awaits, None) if slot.ambushes else None
        if ambush is not None:
            self._strike(ambush)
            if ambush.fault is Fault.DISCONNECT:
                raise ConnectionResetError(point)
        latency_us = int(self._random.random() * 2 * self._servers.setting.latency_us) + 1
        if self._random.random() < SLOW_SHARE:
            latency_us *= SLOW_FACTOR
        await pause(latency_us)

    def start(self, batch: ReadBatch) -> SimulatedRun:
        """Begin to handle a batch."""
        return self._run(self._worker.handle(batch))

    def read_offsets(self) -> dict[PartitionKey, int]:
        """Read the database's offsets, blocking the consumer's thread."""
        run = self._run(self._servers.database.read_offsets(self))
        if not run.wait(OFFSETS_SECONDS):
            run.cancel()
            raise TimeoutError
        offsets: dict[PartitionKey, int] = run.result()
        return offsets

    def _run(self, work: Coroutine[Any, Any, Any]) -> SimulatedRun:
        return SimulatedRun(self._servers.scheduler, self._start(work), self._thread)

    def closed_topics(self) -> frozenset[str]:
        """Name the topics that are closed."""
        return self._gates.closed_topics()

    async def _on_handled(self, handled: Handled) -> None:
        if handled.folded.emitted:
            self._relay.wake()

    async def _read_catalogs_first(self) -> None:
        names = [topic.name for topic in self._topics if topic.is_catalog]
        if not names:
            return
        ends = self._servers.cluster.ends(names)
        while True:
            try:
                if catalogs.are_read(ends, await self._servers.database.read_offsets(self)):
                    break
            except Exception as error:
                if not is_transient_database_error(error):
                    raise
            await sleep(TICK_SECONDS)
        self._gates.open(catalogs.REASON)
        self._thread.wake()  # a real poll is short

    async def _every_tick(self, tick: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await tick()
            except Exception as error:
                if not is_transient_database_error(error):
                    raise
            await sleep(TICK_SECONDS)

    async def _reject_overdue(self) -> None:
        if not enrollment.has_overdue(self._servers.database, self.now()):
            return  # as a transaction that finds none
        transaction = self._servers.database.transaction(self)
        policy = policy_of(self._servers.setting)
        async with MemoryDeadlineUnit(transaction, policy, self._new_event_id) as unit:
            emitted = await reject_overdue(unit, self.now())
        if emitted:
            self._relay.wake()

    async def _look_at_intake(self) -> None:
        await self.reach("db.count pending")
        pending = enrollment.count_pending(self._servers.database)
        was_closed = self._gates.closed_topics()
        move_gate(self._gates, pending, self._servers.setting.pending_max)
        if self._gates.closed_topics() != was_closed:
            self._thread.wake()  # a real poll is short

    def freeze(self) -> None:
        """Stop the process where it stands, as SIGSTOP does."""
        self.is_frozen = True
        self._servers.cluster.freeze(self)
        self._thread.freeze()
        for task in self._tasks:
            task.freeze()

    def thaw(self) -> None:
        """Let it go on, as SIGCONT does."""
        self.is_frozen = False
        self._servers.cluster.thaw(self)
        self._thread.thaw()
        for task in self._tasks:
            task.thaw()

    def stop(self) -> None:
        """Ask it to end, as SIGTERM does: the batch at work is rolled back."""
        self._consumer.stop()
        self._thread.wake()

    def kill(self) -> None:
        """End it where it stands; from now on nothing that it does has an effect."""
        self.is_dead = True
        self._servers.scheduler.after(0, self.bury)

    def bury(self) -> None:
        """End all that is at work in it: later than `kill`, which may come from one of them."""
        self.is_dead = True
        self._thread.kill()
        for task in self._tasks:
            task.kill()
