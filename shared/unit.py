"""The unit of work on PostgreSQL: inbox, outbox and a service's store in one transaction."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Generic

from shared import inbox, letter_rows, offsets, outbox
from shared.database import Database, Transaction
from shared.events import Event
from shared.identifiers import EnrollmentId, EventId, NewEventId, PartitionKey
from shared.message import Emitted, Move
from shared.reaction import Holding, OpenUnit, Parked, State

Load = Callable[[Transaction, Sequence[Event]], Awaitable[State]]
Save = Callable[[Transaction, State], Awaitable[None]]


class PostgresUnit(Generic[State]):
    """The Unit of shared.reaction, inside a transaction that the caller commits."""

    def __init__(
        self,
        transaction: Transaction,
        store_load: Load[State],
        store_save: Save[State],
        new_event_id: NewEventId,
    ) -> None:
        self.transaction = transaction
        self._load = store_load
        self._save = store_save
        self._new_event_id = new_event_id

    async def advance(self, moves: Mapping[PartitionKey, Move]) -> None:
        """Move the consumer's offsets."""
        if moves:
            await offsets.advance(self.transaction, moves)

    async def claim(self, event_ids: Collection[EventId]) -> set[EventId]:
        """Take ids for the inbox."""
        return await inbox.claim(self.transaction, event_ids) if event_ids else set()

    async def holding(self, enrollment_ids: Collection[EnrollmentId]) -> set[Holding]:
        """Tell what dead letters hold."""
        if not enrollment_ids:
            return set()
        return await letter_rows.holding(self.transaction, enrollment_ids)

    async def load(self, events: Sequence[Event]) -> State:
        """Lock and read the rows of these events."""
        return await self._load(self.transaction, events)

    async def save(self, state: State) -> None:
        """Write the changed rows."""
        await self._save(self.transaction, state)

    async def emit(self, emitted: Sequence[Emitted], now: datetime) -> None:
        """Append to the outbox."""
        await outbox.append(self.transaction, emitted, now, self._new_event_id)

    async def park(self, parked: Sequence[Parked], now: datetime) -> None:
        """Append to the dead letters."""
        await letter_rows.park(self.transaction, parked, now)


def units(
    database: Database, load: Load[State], save: Save[State], new_event_id: NewEventId
) -> OpenUnit[State]:
    """Give what opens a unit: it commits at the end, and rolls back on an error."""

    @asynccontextmanager
    async def open_unit() -> AsyncIterator[PostgresUnit[State]]:
        async with database.transaction() as transaction:
            yield PostgresUnit(transaction, load, save, new_event_id)

    def opener() -> AbstractAsyncContextManager[PostgresUnit[State]]:
        return open_unit()

    return opener
