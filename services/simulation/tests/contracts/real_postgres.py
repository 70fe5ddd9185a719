"""A real database of one service in the tests of the contract."""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from types import ModuleType
from typing import Any

from services.capacity import store as capacity_store
from services.enrollment import store as enrollment_store
from services.enrollment.model import Conflict
from services.enrollment.wiring import DeadlineUnit
from services.simulation.runtime import Unguarded
from services.simulation.tests.contracts.postgres import (
    PATIENCE_SECONDS,
    POLICY,
    QUIET_SECONDS,
    Postgres,
    Session,
    Started,
)
from services.student import store as student_store
from shared import audit_trail, letter_rows, offsets
from shared.audit_trail import AuditRecord
from shared.choreography import Service
from shared.database import Database
from shared.dead_letter import DeadLetter
from shared.identifiers import EnrollmentId, PartitionKey
from shared.letter_rows import PostgresLetters
from shared.relay import lease
from shared.unit import PostgresUnit

LOOKS_MAX = 40
LOCK_WAITS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
STORES: dict[Service, ModuleType] = {
    Service.ENROLLMENT: enrollment_store,
    Service.STUDENT: student_store,
    Service.CAPACITY: capacity_store,
}


class RealStarted(Started):
    """A statement at work in a task."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task

    @property
    def is_waiting(self) -> bool:
        return not self._task.done()

    async def result(self) -> Any:
        return await asyncio.wait_for(self._task, PATIENCE_SECONDS)

    async def cancel(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


class RealPostgres(Postgres):
    """A database as it is."""

    lock_seconds = 0.3
    idle_seconds = 0.3

    def __init__(self, service: Service, database: Database) -> None:
        super().__init__(service)
        self._database = database

    async def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await asyncio.wait_for(work, PATIENCE_SECONDS)

    async def start(self, work: Coroutine[Any, Any, Any]) -> Started:
        """Begin some work, and give it once it is done or waits for a lock."""
        before = await self._lock_waits()
        task = asyncio.create_task(work)
        for _ in range(LOOKS_MAX):
            await asyncio.wait([task], timeout=QUIET_SECONDS)
            if task.done() or await self._lock_waits() > before:
                break
        return RealStarted(task)

    async def _lock_waits(self) -> int:
        async with self._database.session() as (_, driver):
            return int(await driver.fetchval(LOCK_WAITS))

    async def rest(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def shorten_limits(self, session: Session) -> None:
        for name, seconds in (
            ("lock_timeout", self.lock_seconds),
            ("idle_in_transaction_session_timeout", self.idle_seconds),
        ):
            await session.do(session.transaction.execute(f"SET LOCAL {name} = '{seconds}s'"))

    async def disconnect(self, session: Session) -> None:
        [row] = await session.do(session.transaction.fetch("SELECT pg_backend_pid() AS pid"))
        await self._terminate("pid = $1", row["pid"])

    async def crash(self) -> None:
        await self._terminate("datname = current_database() AND pid <> pg_backend_pid()")
        await self._database.close()  # a pool of closed connections

    async def _terminate(self, which: str, *arguments: object) -> None:
        """End backends; first those that wait for others, which must not get what these had."""
        async with self._database.session() as (_, driver):
            ended = await driver.fetch(
                f"SELECT pg_terminate_backend(pid, 5000) AS is_ended FROM pg_stat_activity "
                f"WHERE {which} ORDER BY (wait_event_type = 'Lock') IS TRUE DESC",
                *arguments,
            )
        assert all(row["is_ended"] for row in ended)

    def new_transaction(self) -> AbstractAsyncContextManager[Any]:
        return self._database.transaction()

    def new_unit(self, transaction: Any) -> Any:
        if self.service is Service.ENROLLMENT:
            return DeadlineUnit(transaction, POLICY, self.new_event_id)
        store = STORES[self.service]
        return PostgresUnit(transaction, store.load, store.save, self.new_event_id)

    def new_letters(self, transaction: Any) -> Any:
        return PostgresLetters(transaction)

    def new_lease(self) -> AbstractAsyncContextManager[Any]:
        return lease(self._database, Unguarded())

    async def offsets(self) -> dict[PartitionKey, int]:
        async with self._database.transaction() as transaction:
            return await offsets.read(transaction)

    async def dead_letters(self) -> list[DeadLetter]:
        async with self._database.transaction() as transaction:
            return await letter_rows.read(transaction)

    async def audit_trail(self) -> list[AuditRecord]:
        async with self._database.transaction() as transaction:
            return await audit_trail.read(transaction)

    async def conflicts(self, enrollment_id: EnrollmentId) -> list[Conflict]:
        async with self._database.transaction() as transaction:
            return await enrollment_store.find_conflicts(transaction, enrollment_id)

    async def count_pending(self) -> int:
        async with self._database.transaction() as transaction:
            return await enrollment_store.count_pending(transaction, 1000)

    async def has_overdue(self, now: datetime) -> bool:
        session = await self.begin()
        overdue = await session.do(session.unit.load_overdue(now, 1))
        await session.roll_back()
        return bool(list(overdue.enrollments.all()))

    async def forget_early_cancels(self, session: Session, before: datetime) -> None:
        await session.do(enrollment_store.forget_early_cancels(session.transaction, before))
