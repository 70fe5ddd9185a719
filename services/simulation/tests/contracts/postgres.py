"""One way to use a service's database in the tests of the contract: real, and simulated."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg

from services.capacity import handlers as capacity_handlers
from services.enrollment import handlers as enrollment_handlers
from services.enrollment.model import Conflict, DeadlinePolicy
from services.simulation.tests.contracts.making import NOW
from services.student import handlers as student_handlers
from shared.audit_trail import AuditRecord
from shared.choreography import Service
from shared.dead_letter import DeadLetter
from shared.events import Event
from shared.identifiers import EnrollmentId, EventId, PartitionKey
from shared.outbox import OutboxRow
from shared.reaction import Context, Reactions

QUIET_SECONDS = 0.15  # what is not done by then waits for somebody
PATIENCE_SECONDS = 20.0
POLICY = DeadlinePolicy(20.0, 30.0)
DATABASE_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

REACTIONS: dict[Service, Reactions[Any]] = {
    Service.ENROLLMENT: enrollment_handlers.REACTIONS,
    Service.STUDENT: student_handlers.REACTIONS,
    Service.CAPACITY: capacity_handlers.REACTIONS,
}


class OnPurposeError(Exception):
    """Rolls a transaction back."""


class Started(ABC):
    """A statement that was begun."""

    @property
    @abstractmethod
    def is_waiting(self) -> bool:
        """Tell whether it is not done."""

    @abstractmethod
    async def result(self) -> Any:
        """Wait until it is done, and give what it gave, or raise what it raised."""

    @abstractmethod
    async def cancel(self) -> None:
        """Give it up."""


class Session:
    """One open transaction, and what works in it."""

    def __init__(
        self,
        postgres: "Postgres",
        manager: AbstractAsyncContextManager[Any],
        transaction: Any,
        unit: Any,
        letters: Any,
    ) -> None:
        self._postgres = postgres
        self._manager = manager
        self.transaction = transaction
        self.unit = unit
        self.letters = letters
        self.started: list[Started] = []
        self.is_over = False

    async def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do one thing in it."""
        return await self._postgres.run(work)

    async def start(self, work: Coroutine[Any, Any, Any]) -> Started:
        """Begin one thing, and see whether it has to wait."""
        self.started.append(await self._postgres.start(work))
        return self.started[-1]

    async def load(self, *events: Event) -> Any:
        """Load the rows of events."""
        return await self.do(self.unit.load(events))

    async def react(self, *events: Event) -> None:
        """Do what a batch of these events does, but for its events."""
        state = await self.load(*events)
        self._postgres.decide(state, *events)
        await self.do(self.unit.save(state))

    async def commit(self) -> None:
        """Commit it."""
        self.is_over = True
        await self._postgres.run(self._manager.__aexit__(None, None, None))

    async def fail(self) -> Exception:
        """Try to commit it, and give the error that this ends with."""
        try:
            await self.commit()
        except DATABASE_ERRORS as error:
            return error
        raise AssertionError("it was committed")

    async def roll_back(self) -> None:
        """Have an error end it."""
        self.is_over = True
        for one in self.started:
            if one.is_waiting:
                await one.cancel()
        error = OnPurposeError()
        await self._postgres.run(self._manager.__aexit__(OnPurposeError, error, None))


class Lease:
    """The right to relay, and the outbox as its holder sees it."""

    def __init__(
        self, postgres: "Postgres", manager: AbstractAsyncContextManager[Any], outbox: Any
    ) -> None:
        self._postgres = postgres
        self._manager = manager
        self._outbox = outbox
        self.is_over = False

    async def oldest(self, limit: int = 100) -> list[OutboxRow]:
        """Read the lowest visible rows."""
        return list(await self._postgres.run(self._outbox.oldest(limit)))

    async def delete(self, ids: Sequence[int]) -> None:
        """Forget rows."""
        await self._postgres.run(self._outbox.delete(ids))

    async def leave(self) -> None:
        """Let others have it."""
        self.is_over = True
        await self._postgres.run(self._manager.__aexit__(None, None, None))


class Postgres(ABC):
    """The database of one service."""

    lock_seconds: float  # how long a session waits for a row, once its limits are shortened
    idle_seconds: float  # how long it may do nothing

    def __init__(self, service: Service) -> None:
        self.service = service
        self._open: list[Session | Lease] = []
        self._event_ids = count(1)

    def new_event_id(self) -> EventId:
        """Count the events that are emitted."""
        return EventId(UUID(int=next(self._event_ids)))

    def decide(self, state: Any, *events: Event, now: datetime = NOW) -> None:
        """Let the service decide events."""
        for event in events:
            REACTIONS[self.service][type(event)](state, event, Context(now, None))

    async def begin(self) -> Session:
        """Open a transaction."""
        manager = self.new_transaction()
        transaction = await self.run(manager.__aenter__())
        unit, letters = self.new_unit(transaction), self.new_letters(transaction)
        session = Session(self, manager, transaction, unit, letters)
        self._open.append(session)
        return session

    async def take(self, *events: Event) -> None:
        """Do and commit what a batch of these events does."""
        session = await self.begin()
        await session.react(*events)
        await session.commit()

    async def load(self, *events: Event) -> Any:
        """Load the rows of events, in a transaction of its own."""
        session = await self.begin()
        state = await session.load(*events)
        await session.commit()
        return state

    async def put(self, event: Event, change: Callable[[Any], None]) -> None:
        """Load the rows of an event, change them and save them."""
        session = await self.begin()
        state = await session.load(event)
        change(state)
        await session.do(session.unit.save(state))
        await session.commit()

    async def lease(self) -> Lease:
        """Take the right to relay."""
        manager = self.new_lease()
        taken = Lease(self, manager, await self.run(manager.__aenter__()))
        self._open.append(taken)
        return taken

    async def outbox(self) -> list[OutboxRow]:
        """Read what waits to be published."""
        taken = await self.lease()
        rows = await taken.oldest()
        await taken.leave()
        return rows

    async def close(self) -> None:
        """End what is still open."""
        for one in self._open:
            if one.is_over:
                continue
            await (one.roll_back() if isinstance(one, Session) else one.leave())

    @abstractmethod
    async def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do something to its end."""

    @abstractmethod
    async def start(self, work: Coroutine[Any, Any, Any]) -> Started:
        """Begin something, and give it the time to be done unless it has to wait."""

    @abstractmethod
    async def rest(self, seconds: float) -> None:
        """Let time pass."""

    @abstractmethod
    async def shorten_limits(self, session: Session) -> None:
        """Spare the test the time that a session may wait and idle, where it would be long."""

    @abstractmethod
    async def disconnect(self, session: Session) -> None:
        """Have the server cut a session's connection."""

    @abstractmethod
    async def crash(self) -> None:
        """Have the server cut every connection to the database."""

    @abstractmethod
    def new_transaction(self) -> AbstractAsyncContextManager[Any]:
        """Make what opens a transaction."""

    @abstractmethod
    def new_unit(self, transaction: Any) -> Any:
        """Make a unit of the service."""

    @abstractmethod
    def new_letters(self, transaction: Any) -> Any:
        """Make what handles dead letters."""

    @abstractmethod
    def new_lease(self) -> AbstractAsyncContextManager[Any]:
        """Make what takes the right to relay."""

    @abstractmethod
    async def offsets(self) -> dict[PartitionKey, int]:
        """Read the next offset of every partition."""

    @abstractmethod
    async def dead_letters(self) -> list[DeadLetter]:
        """Read the dead letters, oldest first."""

    @abstractmethod
    async def audit_trail(self) -> list[AuditRecord]:
        """Read what operators did."""

    @abstractmethod
    async def conflicts(self, enrollment_id: EnrollmentId) -> list[Conflict]:
        """Read what contradicted an enrollment, oldest first."""

    @abstractmethod
    async def count_pending(self) -> int:
        """Count the pending enrollments."""

    @abstractmethod
    async def has_overdue(self, now: datetime) -> bool:
        """Tell whether the deadline of any pending enrollment has passed."""

    @abstractmethod
    async def forget_early_cancels(self, session: Session, before: datetime) -> None:
        """Forget cancels whose request has not come."""
