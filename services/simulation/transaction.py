"""One transaction on the simulated PostgreSQL: its statements, its locks, and how it ends."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import asyncpg

from services.simulation.ports import Process
from services.simulation.scheduler import SECOND_US, Signal

if TYPE_CHECKING:
    from services.simulation.database import MemoryDatabase

LOCK_TIMEOUT_US: Final = 10 * SECOND_US

Place = tuple[str, Any]  # a table and a key
Rows = dict[Any, Any]


class Lock:
    """A row's lock, and who waits for it, first come, first served."""

    __slots__ = ("owner", "waiting")

    def __init__(self, owner: "MemoryTransaction") -> None:
        self.owner = owner
        self.waiting: deque[tuple[MemoryTransaction, Signal[None]]] = deque()


class MemoryTransaction:
    """One transaction. Every statement stands at an await first, where time passes."""

    __slots__ = ("_database", "_is_over", "_process", "_wait", "_written", "held")

    def __init__(self, database: "MemoryDatabase", process: Process) -> None:
        self._database = database
        self._process = process
        self._written: dict[Place, Any] = {}
        self._is_over = False
        self._wait: tuple[Place, Signal[None]] | None = None
        self.held: dict[Place, None] = {}

    async def __aenter__(self) -> Self:
        self._database.begin(self)
        try:
            await self.stand("db.begin")
        except BaseException:
            self.break_off()
            raise
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Commit, or roll back without any wait: a process that is killed waits for nothing."""
        if error_type is not None:
            self.break_off()
            return
        try:
            await self.stand("db.commit")
        except BaseException:
            self.break_off()
            raise
        self._is_over = True
        self._database.apply(self._written)
        self._database.end(self, self.held)
        await self._process.reach("db.committed")

    def break_off(self) -> None:
        """Roll back; whatever it still asks for raises, as on a connection that is gone."""
        if self._is_over:
            return
        self._is_over = True
        if self._wait is not None:
            place, granted = self._wait
            self._leave_queue(place)
            granted.set(error=ConnectionResetError("the server closed the connection"))
        self._database.end(self, self.held)

    async def stand(self, point: str) -> None:
        """Let a statement begin; raises OSError where the connection or the server is gone."""
        await self._process.reach(point)
        if self._is_over or self._process.is_dead:
            raise ConnectionResetError("the server closed the connection")
        if self._database.is_down:
            raise ConnectionRefusedError("the server does not answer")

    def current(self, table: str, key: Any) -> Any:
        """Give a row as this transaction sees it now; None where there is none."""
        place = (table, key)
        if place in self._written:
            return self._written[place]
        return self._database.tables[table].get(key)

    async def lock(self, table: str, keys: Iterable[Any]) -> Rows:
        """Lock rows in this order and read them, as SELECT … FOR UPDATE does.

        Only those that were there when the statement began; each as it is once it is locked.
        """
        await self.stand(f"db.lock {table}")
        there = [key for key in keys if self.current(table, key) is not None]
        found = {}
        for key in there:
            await self.take(table, key)
            row = self.current(table, key)
            if row is not None:
                found[key] = row
        return found

    async def lock_where(self, table: str, is_wanted: Callable[[Any], bool]) -> Rows:
        """Lock and read, in the order of their keys, the rows that are wanted."""
        await self.stand(f"db.lock {table}")
        if not self.rows(table):
            return {}
        keys = sorted(key for key, row in self.rows(table).items() if is_wanted(row))
        for key in keys:
            await self.take(table, key)
        found = ((key, self.current(table, key)) for key in keys)
        return {key: row for key, row in found if row is not None}

    async def lock_free(self, table: str, keys: Iterable[Any], limit: int) -> Rows:
        """Lock and read the first rows that nobody has locked (SKIP LOCKED)."""
        await self.stand(f"db.lock {table}")
        free = [key for key in keys if (table, key) not in self._database.locks][:limit]
        for key in free:
            await self.take(table, key)
        return {key: self.current(table, key) for key in free}

    async def read(self, table: str) -> Rows:
        """Read a whole table, without locks."""
        await self.stand(f"db.read {table}")
        return dict(self._database.rows(table))

    async def read_some(self, table: str, keys: Iterable[Any]) -> Rows:
        """Read rows by their keys, without locks."""
        await self.stand(f"db.read {table}")
        found = ((key, self.current(table, key)) for key in keys)
        return {key: row for key, row in found if row is not None}

    async def read_indexed(self, table: str, wheres: Iterable[Any]) -> Rows:
        """Read rows by the index of their table, without locks."""
        await self.stand(f"db.read {table}")
        return {
            key: row
            for where in wheres
            for key, row in self._database.indexed(table, where).items()
        }

    async def insert(self, table: str, rows: Mapping[Any, Any]) -> list[Any]:
        """Insert rows in this order, leaving out what is there; give the keys of those inserted.

        As INSERT … ON CONFLICT DO NOTHING: waits for whoever is inserting the same key.
        """
        await self.stand(f"db.insert {table}")
        inserted = []
        for key, row in rows.items():
            if self.current(table, key) is not None:
                continue
            await self.take(table, key)
            if self.current(table, key) is None:
                self._written[table, key] = row
                inserted.append(key)
        return inserted

    async def write(self, table: str, rows: Mapping[Any, Any]) -> None:
        """Put rows in place of those that are there, or of none (None deletes); locks them."""
        await self.stand(f"db.write {table}")
        for key, row in rows.items():
            await self.take(table, key)
            self._written[table, key] = row

    async def write_where(
        self, table: str, rows: Mapping[Any, Any], may_replace: Callable[[Any, Any], bool]
    ) -> None:
        """Put rows in place of none, or of those that the newest may be replaced by them."""
        await self.stand(f"db.write {table}")
        for key, row in rows.items():
            await self.take(table, key)
            there = self.current(table, key)
            if there is None or may_replace(there, row):
                self._written[table, key] = row

    async def append(self, table: str, rows: Iterable[Callable[[int], Any]]) -> None:
        """Append rows that are made of their number, which is counted at once."""
        await self.stand(f"db.append {table}")
        for make in rows:
            number = self._database.next_number(table)
            self._written[table, number] = make(number)

    def rows(self, table: str) -> Rows:
        """Give what is committed of a table."""
        return self._database.rows(table)

    def put(self, table: str, key: Any, row: Any) -> None:
        """Write a row whose lock is held."""
        self._written[table, key] = row

    async def take(self, table: str, key: Any) -> None:
        """Lock a row, there or not; waits for whoever has it, and raises on a deadlock."""
        place = (table, key)
        if place in self.held:
            return
        lock = self._database.locks.get(place)
        if lock is None:
            self._database.locks[place] = Lock(self)
            self.held[place] = None
            return
        if self in self._blockers(lock.owner):
            raise asyncpg.DeadlockDetectedError("deadlock detected")
        granted: Signal[None] = Signal()
        lock.waiting.append((self, granted))
        self._wait = (place, granted)
        self._database.scheduler.after(LOCK_TIMEOUT_US, partial(self._time_out, place, granted))
        await granted

    def grant(self, place: Place) -> None:
        """Have the lock that was waited for."""
        self.held[place] = None
        self._wait = None

    def _blockers(self, owner: "MemoryTransaction") -> Iterator["MemoryTransaction"]:
        """Follow who waits for whom."""
        while True:
            yield owner
            if owner._wait is None:  # noqa: SLF001  of its own kind
                return
            owner = self._database.locks[owner._wait[0]].owner  # noqa: SLF001

    def _time_out(self, place: Place, granted: Signal[None]) -> None:
        if not granted.is_set:
            self._leave_queue(place)
            self._wait = None
            granted.set(error=asyncpg.LockNotAvailableError("lock timeout"))

    def _leave_queue(self, place: Place) -> None:
        lock = self._database.locks.get(place)
        if lock is not None:
            lock.waiting = deque(one for one in lock.waiting if one[0] is not self)
