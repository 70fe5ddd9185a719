"""The relay's lease on a simulated outbox."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from services.simulation.database import MemoryDatabase
from services.simulation.ports import Process
from shared.errors import LeaseLostError
from shared.outbox import OutboxRow


class MemoryLease:
    """The right to relay, and the outbox as its holder sees it; it goes with the session."""

    def __init__(self, database: MemoryDatabase, process: Process) -> None:
        self.process = process
        self.is_lost = False
        self._database = database

    async def __aenter__(self) -> Self:
        await self._stand("db.lease")
        if not self._database.take_lease(self):
            raise LeaseLostError("another process relays this outbox")
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._database.give_back_lease(self)

    async def oldest(self, limit: int) -> list[OutboxRow]:
        """Read the lowest visible rows."""
        await self._stand("db.oldest")
        outbox = self._database.rows("outbox")
        return [outbox[number] for number in sorted(outbox)[:limit]]

    async def delete(self, ids: Sequence[int]) -> None:
        """Forget delivered rows."""
        await self._stand("db.delete")
        self._database.forget_published(ids)
        await self.process.reach("db.deleted")

    async def _stand(self, point: str) -> None:
        await self.process.reach(point)
        if self.is_lost or self.process.is_dead:
            raise ConnectionResetError("the server closed the connection")
        if self._database.is_down:
            raise ConnectionRefusedError("the server does not answer")
