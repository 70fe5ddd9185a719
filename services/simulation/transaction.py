"""One transaction on the simulated PostgreSQL: its statements, its locks, and how it ends."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import asyncpg

from services.simulation.ports import Process
from services.simulation.scheduler import SECOND_US, Signal
from shared.database import CONNECTION_LIMITS

if TYPE_CHECKING:
    from services.simulation.database import MemoryDatabase

CLOSED: Final = "the server closed the connection"

Place = tuple[str, Any]  # a table and a key
Rows = dict[Any, Any]


def _limit_us(name: str) -> int:
    return int(CONNECTION_LIMITS[name].removesuffix("s")) * SECOND_US


LOCK_TIMEOUT_US: Final = _limit_us("lock_timeout")
IDLE_TIMEOUT_US: Final = _limit_us("idle_in_transaction_session_timeout")


class Lock:
    """A row's lock, and who waits for it, first come, first served."""

    __slots__ = ("owner", "waiting")

    def __init__(self, owner: "MemoryTransaction") -> None:
        self.owner = owner
        self.waiting: deque[tuple[MemoryTransaction, Signal[None]]] = deque()


class MemoryTransaction:
    """One transaction. Every statement stands at an await first, where time passes."""

    __slots__ = ("_active_us", "_database", "_is_over", "_process", "_wait", "_written", "held")

    def __init__(self, database: "MemoryDatabase", process: Process) -> None:
        self._database = database
        self._process = process
        self._written: dict[Place, Any] = {}
        self._is_over = False
        self._active_us = database.scheduler.now_us
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

    def break_off(self, error: Exception | None = None) -> None:
        """Roll back; whatever it still asks for raises, as on a connection that is gone."""
        if self._is_over:
            return
        self._is_over = True
        if self._wait is not None:
            place, granted = self._wait
            self._wait = None
            self._leave_queue(place)
            granted.set(error=error or ConnectionResetError(CLOSED))
        self._database.end(self, self.held)

    def end_if_idle(self) -> None:
        """Have the server end it where its process has stood still for too long."""
        if self._wait is None and self._idle_left_us() <= 0:
            self.break_off()

    def _idle_left_us(self) -> int:
        return self._active_us + IDLE_TIMEOUT_US - self._database.scheduler.now_us

    async def stand(self, point: str) -> None:
        """Let a statement begin; raises OSError where the connection or the server is gone."""
        await self._process.reach(point)
        now_us = self._database.scheduler.now_us
        if now_us - self._active_us >= IDLE_TIMEOUT_US:
            self.break_off()
        if self._is_over or self._process.is_dead:
            raise ConnectionResetError(CLOSED)
        if self._database.is_down:
            raise ConnectionRefusedError("the server does not answer")
        self._active_us = now_us

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
        return await self._lock_rows(table, there)

    async def lock_where(self, table: str, is_wanted: Callable[[Any], bool]) -> Rows:
        """Lock and read, in the order of their keys, the rows that are wanted."""
        await self.stand(f"db.lock {table}")
        wanted = sorted(key for key, row in self.rows(table).items() if is_wanted(row))
        return await self._lock_rows(table, wanted)

    async def _lock_rows(self, table: str, keys: Iterable[Any]) -> Rows:
        found = {}
        for key in keys:
            await self.take(table, key)
            row = self.current(table, key)
            if row is None:
                self._give_back((table, key))
            else:
                found[key] = row
        return found

    async def lock_free(
        self,
        table: str,
        keys: Iterable[Any],
        is_wanted: Callable[[Any], bool],
        limit: int | None = None,
    ) -> Rows:
        """Lock and read the first rows that nobody else has locked (SKIP LOCKED).

        `is_wanted` is asked again: a row may be another by now than when its key was read.
        """
        await self.stand(f"db.lock {table}")
        found: Rows = {}
        for key in keys:
            if len(found) == limit:
                break
            row = self.current(table, key)
            if row is not None and is_wanted(row) and self._is_free((table, key)):
                await self.take(table, key)
                found[key] = row
        return found

    def _is_free(self, place: Place) -> bool:
        lock = self._database.locks.get(place)
        if lock is not None:
            lock.owner.end_if_idle()
        return place not in self._database.locks or place in self.held

    async def read(self, table: str) -> Rows:
        """Read a whole table, without locks."""
        await self.stand(f"db.read {table}")
        return dict(self.rows(table))

    async def read_some(self, table: str, keys: Iterable[Any]) -> Rows:
        """Read rows by their keys, without locks."""
        await self.stand(f"db.read {table}")
        found = ((key, self.current(table, key)) for key in keys)
        return {key: row for key, row in found if row is not None}

    async def read_indexed(self, table: str, wheres: Sequence[Any]) -> Rows:
        """Read rows by the index of their table, without locks."""
        await self.stand(f"db.read {table}")
        found = {
            key: row
            for where in wheres
            for key, row in self._database.indexed(table, where).items()
        }
        for key, row in self._own(table):
            found.pop(key, None)
            if row is not None and self._database.where_of(table, row) in wheres:
                found[key] = row
        return found

    async def insert(self, table: str, rows: Mapping[Any, Any]) -> list[Any]:
        """Insert rows in this order, leaving out what is there; give the keys of those inserted.

        As INSERT … ON CONFLICT DO NOTHING: waits for whoever is inserting the same key.
        """
        await self.stand(f"db.insert {table}")
        inserted = []
        for key, row in rows.items():
            if await self._may_make(table, key):
                self._written[table, key] = row
                inserted.append(key)
        return inserted

    async def _may_make(self, table: str, key: Any) -> bool:
        """Wait for whoever has written this row; lock it only where it is not there."""
        place = (table, key)
        if self.current(table, key) is not None and not self._is_being_changed(place):
            return False
        is_new = await self.take(table, key)
        if self.current(table, key) is None:
            return True
        if is_new:
            self._give_back(place)
        return False

    def _is_being_changed(self, place: Place) -> bool:
        lock = self._database.locks.get(place)
        return lock is not None and lock.owner is not self and place in lock.owner._written  # noqa: SLF001

    async def write(self, table: str, rows: Mapping[Any, Any]) -> None:
        """Put rows in place of those that are there (None deletes), as UPDATE; locks them."""
        await self.stand(f"db.write {table}")
        there = [key for key in rows if self.current(table, key) is not None]
        for key in there:
            await self.take(table, key)
            if self.current(table, key) is not None:
                self._written[table, key] = rows[key]

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

    async def append_once(
        self, table: str, make: Callable[[int], Any], unique: Callable[[Any], Any]
    ) -> None:
        """Append a row, unless one has the same `unique`; waits for whoever appends that."""
        await self.stand(f"db.append {table}")
        number = self._database.next_number(table)
        row = make(number)
        place = (table, unique(row))
        is_new = await self.take(*place)
        rows = self.rows(table).items()
        there = next((key for key, other in rows if unique(other) == place[1]), None)
        if there is None or await self._may_make(table, there):
            self._written[table, number] = row
        elif is_new:
            self._give_back(place)

    def rows(self, table: str) -> Rows:
        """Give a table as this transaction sees it."""
        committed, own = self._database.rows(table), self._own(table)
        if not own:
            return committed
        merged = {**committed, **dict(own)}
        return {key: row for key, row in merged.items() if row is not None}

    def _own(self, table: str) -> list[tuple[Any, Any]]:
        return [(place[1], row) for place, row in self._written.items() if place[0] == table]

    def put(self, table: str, key: Any, row: Any) -> None:
        """Write a row whose lock is held."""
        self._written[table, key] = row

    async def take(self, table: str, key: Any) -> bool:
        """Lock a row, there or not, and tell whether that was new.

        Waits for whoever has it, and raises on a deadlock.
        """
        place = (table, key)
        if place in self.held:
            return False
        lock = self._database.locks.get(place)
        if lock is None:
            self._database.locks[place] = Lock(self)
            self.held[place] = None
            return True
        if self in self._blockers(lock.owner):
            self.break_off()
            raise asyncpg.DeadlockDetectedError("deadlock detected")
        granted: Signal[None] = Signal()
        lock.waiting.append((self, granted))
        self._wait = (place, granted)
        self._wait_no_longer_than_need_be(lock.owner, granted)
        await granted
        if self._is_over:  # it got the lock of one that a crash ended before it
            raise ConnectionResetError(CLOSED)
        return True

    def _give_back(self, place: Place) -> None:
        del self.held[place]
        self._database.free(place)

    def _wait_no_longer_than_need_be(
        self, owner: "MemoryTransaction", granted: Signal[None]
    ) -> None:
        after = self._database.scheduler.after
        idle_left_us = owner._idle_left_us()  # noqa: SLF001  of its own kind
        if idle_left_us < LOCK_TIMEOUT_US:
            after(max(idle_left_us, 0), owner.end_if_idle)
        after(LOCK_TIMEOUT_US, partial(self._time_out, granted))

    def grant(self, place: Place) -> None:
        """Have the lock that was waited for."""
        self.held[place] = None
        self._wait = None
        self._active_us = self._database.scheduler.now_us

    def _blockers(self, owner: "MemoryTransaction") -> Iterator["MemoryTransaction"]:
        """Follow who waits for whom."""
        while True:
            yield owner
            if owner._wait is None:  # noqa: SLF001  of its own kind
                return
            owner = self._database.locks[owner._wait[0]].owner  # noqa: SLF001

    def _time_out(self, granted: Signal[None]) -> None:
        if not granted.is_set:
            self.break_off(asyncpg.LockNotAvailableError("lock timeout"))

    def _leave_queue(self, place: Place) -> None:
        lock = self._database.locks.get(place)
        if lock is not None:
            lock.waiting = deque(one for one in lock.waiting if one[0] is not self)
