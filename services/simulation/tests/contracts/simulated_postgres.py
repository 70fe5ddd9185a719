"""A simulated database of one service in the tests of the contract."""

from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from types import ModuleType
from typing import Any

from services.enrollment.model import Conflict
from services.simulation.database import MemoryDatabase
from services.simulation.lease import MemoryLease
from services.simulation.letters import MemoryLetters
from services.simulation.scheduler import SECOND_US, Scheduler, Task
from services.simulation.stores import capacity, enrollment, student
from services.simulation.tests.contracts.kafka import LivingProcess
from services.simulation.tests.contracts.postgres import (
    PATIENCE_SECONDS,
    POLICY,
    QUIET_SECONDS,
    Postgres,
    Session,
    Started,
)
from services.simulation.transaction import IDLE_TIMEOUT_US, LOCK_TIMEOUT_US
from services.simulation.unit import MemoryDeadlineUnit, MemoryUnit
from services.simulation.wiring import INDEXES
from shared.audit_trail import AuditRecord
from shared.choreography import Service
from shared.dead_letter import DeadLetter
from shared.identifiers import EnrollmentId, PartitionKey

STEP_US = 1000
STORES: dict[Service, ModuleType] = {
    Service.ENROLLMENT: enrollment,
    Service.STUDENT: student,
    Service.CAPACITY: capacity,
}


class SimulatedStarted(Started):
    """A statement at work in virtual time."""

    def __init__(self, scheduler: Scheduler, task: Task) -> None:
        self._scheduler = scheduler
        self._task = task

    @property
    def is_waiting(self) -> bool:
        return not self._task.done.is_set

    async def result(self) -> Any:
        until_us = self._scheduler.now_us + int(PATIENCE_SECONDS * SECOND_US)
        while self.is_waiting and self._scheduler.now_us < until_us:
            self._scheduler.run_until(self._scheduler.now_us + STEP_US)
        assert not self.is_waiting, "not within the time"
        return self._task.done.result()

    async def cancel(self) -> None:
        self._task.cancel()
        self._scheduler.run_until(self._scheduler.now_us + SECOND_US)


class SimulatedPostgres(Postgres):
    """A database in memory."""

    lock_seconds = LOCK_TIMEOUT_US / SECOND_US
    idle_seconds = IDLE_TIMEOUT_US / SECOND_US

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.scheduler = Scheduler(calls_max=1_000_000)
        self.database = MemoryDatabase(self.scheduler, index_of=INDEXES[service])

    async def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await SimulatedStarted(self.scheduler, Task(self.scheduler, work)).result()

    async def start(self, work: Coroutine[Any, Any, Any]) -> Started:
        task = Task(self.scheduler, work)
        self.scheduler.run_until(self.scheduler.now_us + int(QUIET_SECONDS * SECOND_US))
        return SimulatedStarted(self.scheduler, task)

    async def rest(self, seconds: float) -> None:
        self.scheduler.run_until(self.scheduler.now_us + int(seconds * SECOND_US))

    async def shorten_limits(self, _session: Session) -> None:
        """Leave them: virtual time costs nothing."""

    async def disconnect(self, session: Session) -> None:
        session.transaction.break_off()

    async def crash(self) -> None:
        self.database.crash()

    def new_transaction(self) -> AbstractAsyncContextManager[Any]:
        return self.database.transaction(LivingProcess())

    def new_unit(self, transaction: Any) -> Any:
        if self.service is Service.ENROLLMENT:
            return MemoryDeadlineUnit(transaction, POLICY, self.new_event_id)
        store = STORES[self.service]
        return MemoryUnit(transaction, store.load, store.save, self.new_event_id)

    def new_letters(self, transaction: Any) -> Any:
        return MemoryLetters(transaction)

    def new_lease(self) -> AbstractAsyncContextManager[Any]:
        return MemoryLease(self.database, LivingProcess())

    async def offsets(self) -> dict[PartitionKey, int]:
        found: dict[PartitionKey, int] = await self.run(self.database.read_offsets(LivingProcess()))
        return found

    async def dead_letters(self) -> list[DeadLetter]:
        return list(self.database.rows("dead_letter").values())

    async def audit_trail(self) -> list[AuditRecord]:
        return list(self.database.rows("audit_trail").values())

    async def conflicts(self, enrollment_id: EnrollmentId) -> list[Conflict]:
        rows: list[Conflict] = list(self.database.rows("conflict").values())
        found = [one for one in rows if one.enrollment_id == enrollment_id]
        return sorted(found, key=lambda one: one.received_at)

    async def count_pending(self) -> int:
        return enrollment.count_pending(self.database)

    async def has_overdue(self, now: datetime) -> bool:
        return enrollment.has_overdue(self.database, now)

    async def forget_early_cancels(self, session: Session, before: datetime) -> None:
        await session.do(enrollment.forget_early_cancels(session.transaction, before))
