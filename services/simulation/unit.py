"""The unit of work on the simulated database, statement by statement as on PostgreSQL."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Self

from services.enrollment.model import DeadlinePolicy, State
from services.simulation.database import MemoryDatabase
from services.simulation.ports import Process
from services.simulation.stores import enrollment
from services.simulation.transaction import MemoryTransaction
from shared.dead_letter import DeadLetter
from shared.errors import StaleBatchError
from shared.events import Event
from shared.identifiers import (
    EnrollmentId,
    EventId,
    NewEventId,
    PartitionKey,
    in_lock_order,
)
from shared.message import Emitted, Move
from shared.outbox import OutboxRow, record_of
from shared.reaction import Holding, OpenUnit, Parked

Load = Callable[[MemoryTransaction, Sequence[Event]], Awaitable[Any]]
Save = Callable[[MemoryTransaction, Any], Awaitable[None]]


class MemoryUnit:
    """The Unit of shared.reaction; opens its transaction, and commits at the end."""

    def __init__(
        self,
        transaction: MemoryTransaction,
        load: Load,
        save: Save,
        new_event_id: NewEventId,
    ) -> None:
        self.transaction = transaction
        self._load = load
        self._save = save
        self._new_event_id = new_event_id

    async def __aenter__(self) -> Self:
        await self.transaction.__aenter__()
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.transaction.__aexit__(error_type, error, traceback)

    async def advance(self, moves: Mapping[PartitionKey, Move]) -> None:
        """Move the consumer's offsets; raise StaleBatchError where they have been moved."""
        if not moves:
            return
        await self.transaction.stand("db.advance")
        for key in sorted(moves):
            await self.transaction.take("consumer_offset", key)
            there = self.transaction.current("consumer_offset", key)
            if (there or 0) != moves[key].expected:
                raise StaleBatchError(
                    "another process has read these partitions further: batch dropped"
                )
            self.transaction.put("consumer_offset", key, moves[key].next)

    async def claim(self, event_ids: Collection[EventId]) -> set[EventId]:
        """Take ids for the inbox; return those not taken before."""
        if not event_ids:
            return set()
        wanted = dict.fromkeys(in_lock_order(set(event_ids)), True)
        return set(await self.transaction.insert("inbox", wanted))

    async def holding(self, enrollment_ids: Collection[EnrollmentId]) -> set[Holding]:
        """Tell what dead letters hold; waits for a replay that is under way."""
        if not enrollment_ids:
            return set()
        locked = await self.transaction.lock_where(
            "dead_letter",
            lambda letter: letter.holds and letter.enrollment_id in enrollment_ids,
        )
        return {(letter.message.topic, letter.enrollment_id) for letter in locked.values()}

    async def load(self, events: Sequence[Event]) -> Any:
        """Lock and read the rows of these events."""
        return await self._load(self.transaction, events)

    async def save(self, state: Any) -> None:
        """Write the changed rows."""
        await self._save(self.transaction, state)

    async def emit(self, emitted: Sequence[Emitted], now: datetime) -> None:
        """Append to the outbox."""
        if emitted:
            records = [record_of(one, now, self._new_event_id()) for one in emitted]
            await self.transaction.append("outbox", [partial(_row, one) for one in records])

    async def park(self, parked: Sequence[Parked], now: datetime) -> None:
        """Append to the dead letters; one that is there already stays as it is."""
        for one in parked:
            await self.transaction.append_once("dead_letter", partial(_letter, one, now), _place)


class MemoryDeadlineUnit(MemoryUnit):
    """The OverdueUnit of enrollment's handlers."""

    def __init__(
        self, transaction: MemoryTransaction, policy: DeadlinePolicy, new_event_id: NewEventId
    ) -> None:
        load = partial(enrollment.load, policy=policy)
        super().__init__(transaction, load, enrollment.save, new_event_id)
        self._policy = policy

    async def load_overdue(self, now: datetime, limit: int) -> State:
        """Lock pending enrollments whose deadline has passed, but for those at work elsewhere."""
        return await enrollment.load_overdue(self.transaction, now, limit, self._policy)


def open_units(
    database: MemoryDatabase,
    process: Process,
    load: Load,
    save: Save,
    new_event_id: NewEventId,
) -> OpenUnit[Any]:
    """Give what opens a unit: it commits at the end, and rolls back on an error."""
    return lambda: MemoryUnit(database.transaction(process), load, save, new_event_id)


def _row(record: tuple[Any, ...], number: int) -> OutboxRow:
    return OutboxRow(number, *record)


def _place(letter: DeadLetter) -> tuple[str, int, int]:
    return letter.message.topic, letter.message.partition, letter.message.offset


def _letter(parked: Parked, now: datetime, number: int) -> DeadLetter:
    return DeadLetter(
        id=number,
        message=parked.message,
        event_type=parked.event_type,
        enrollment_id=parked.enrollment_id,
        reason=parked.reason,
        detail=parked.detail.replace("\x00", ""),
        holds=parked.holds,
        parked_at=now,
    )
