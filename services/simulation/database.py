"""PostgreSQL in memory, in virtual time: READ COMMITTED, row locks, and all that crashes spare."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import asyncpg

from services.simulation.ports import Process
from services.simulation.scheduler import SECOND_US, Scheduler, Signal
from shared.identifiers import PartitionKey

if TYPE_CHECKING:
    from services.simulation.lease import MemoryLease

LOCK_TIMEOUT_US: Final = 10 * SECOND_US

Place = tuple[str, Any]  # a table and a key
Rows = dict[Any, Any]
Change = tuple[Any, Any, Any]  # a key, its row before and after; None where there is none
Changes = Mapping[str, Sequence[Change]]
IndexOf = Callable[[Any], Any]  # gives a row's place in its table's index, or None


def unwatched(_changes: Changes) -> None:
    """Have nobody told of a commit."""


class Lock:
    """A row's lock, and who waits for it, first come, first served."""

    __slots__ = ("owner", "waiting")

    def __init__(self, owner: "MemoryTransaction") -> None:
        self.owner = owner
        self.waiting: deque[tuple[MemoryTransaction, Signal[None]]] = deque()


class MemoryDatabase:
    """One service's database. `index_of` names how the rows of some tables are looked up."""

    def __init__(
        self,
        scheduler: Scheduler,
        on_commit: Callable[[Changes], None] = unwatched,
        index_of: Mapping[str, IndexOf] | None = None,
    ) -> None:
        self.scheduler = scheduler
        self.is_down = False
        self._on_commit = on_commit
        self._index_of = dict(index_of or {})
        self.tables: dict[str, Rows] = defaultdict(dict)
        self._indexes: dict[str, dict[Any, Rows]] = {table: {} for table in self._index_of}
        self._numbers: dict[str, int] = {}
        self.locks: dict[Place, Lock] = {}
        self._open: dict[MemoryTransaction, None] = {}
        self._lease: MemoryLease | None = None
        self.when_appended: list[Callable[[], None]] = []  # for once: something is in the outbox
        self._unflushed: Rows = {}  # deleted, and back again after a crash

    def rows(self, table: str) -> Rows:
        """Give what is committed of a table, by key; not to be changed."""
        return self.tables[table]

    def indexed(self, table: str, where: Any) -> Rows:
        """Give the committed rows that have this place in the index of their table."""
        return self._indexes[table].get(where, {})

    def next_number(self, table: str) -> int:
        """Count an identity column: at once, and never back."""
        self._numbers[table] = self._numbers.get(table, 0) + 1
        return self._numbers[table]

    def transaction(self, process: Process) -> "MemoryTransaction":
        """Give a transaction, to be used by `async with`: it commits, or rolls back on an error."""
        return MemoryTransaction(self, process)

    async def read_offsets(self, process: Process) -> dict[PartitionKey, int]:
        """Read the next offset of every partition."""
        async with self.transaction(process) as transaction:
            return await transaction.read("consumer_offset")

    def next_offsets(self) -> dict[PartitionKey, int]:
        """Give the next offset of every partition, to whoever looks from outside."""
        return self.rows("consumer_offset")

    def crash(self) -> None:
        """End every open transaction and session; what is committed stays.

        The relay's deletions do not wait for the disk: those that nothing came after are undone.
        """
        for transaction in list(self._open):
            transaction.break_off()
        if self._lease is not None:
            self._lease.is_lost = True
        self._lease = None
        self.rows("outbox").update(self._unflushed)
        self._unflushed = {}
        self._tell_relays()

    def _tell_relays(self) -> None:
        due, self.when_appended = self.when_appended, []
        for call in due:
            call()

    def begin(self, transaction: "MemoryTransaction") -> None:
        """Note a transaction as open."""
        self._open[transaction] = None

    def end(self, transaction: "MemoryTransaction", places: Iterable[Place]) -> None:
        """Free the locks of a transaction; each goes to the next who waits for it."""
        self._open.pop(transaction, None)
        for place in places:
            lock = self.locks[place]
            if lock.waiting:
                lock.owner, granted = lock.waiting.popleft()
                lock.owner.grant(place)
                granted.set()
            else:
                del self.locks[place]

    def apply(self, written: Mapping[Place, Any]) -> None:
        """Make the writes of a transaction visible, all at once, and tell who watches."""
        changes: dict[str, list[Change]] = {}
        for (table, key), row in written.items():
            rows = self.tables[table]
            before = rows.get(key)
            if row is None:
                rows.pop(key, None)
            else:
                rows[key] = row
            if table in self._index_of:
                self._reindex(table, key, before, row)
            changes.setdefault(table, []).append((key, before, row))
        if written:
            self._unflushed = {}
        if "outbox" in changes:
            self._tell_relays()
        self._on_commit(changes)

    def _reindex(self, table: str, key: Any, before: Any, after: Any) -> None:
        index, where_of = self._indexes[table], self._index_of[table]
        if before is not None and (was := where_of(before)) is not None:
            del index[was][key]
            if not index[was]:
                del index[was]
        if after is not None and (where := where_of(after)) is not None:
            index.setdefault(where, {})[key] = after

    def take_lease(self, lease: "MemoryLease") -> bool:
        """Give the lease to a session, unless a living one has it."""
        if self._lease is not None and not self._lease.process.is_dead:
            return False
        self._lease = lease
        return True

    def give_back_lease(self, lease: "MemoryLease") -> None:
        """Let others have it."""
        if self._lease is lease:
            self._lease = None

    def forget_published(self, ids: Iterable[int]) -> None:
        """Delete rows of the outbox, in a transaction that does not wait for the disk."""
        outbox = self.rows("outbox")
        for number in ids:
            row = outbox.pop(number, None)
            if row is not None:
                self._unflushed[number] = row

    def snapshot(self) -> tuple[Any, ...]:
        """Give all that is committed, for `restore`; rows are shared, for they never change."""
        return (
            {table: dict(rows) for table, rows in self.tables.items()},
            {
                table: {where: dict(rows) for where, rows in index.items()}
                for table, index in self._indexes.items()
            },
            dict(self._numbers),
        )

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        """Go back to a snapshot, which may be used again."""
        tables, indexes, numbers = snapshot
        self.tables = defaultdict(dict, {table: dict(rows) for table, rows in tables.items()})
        self._indexes = {
            table: {where: dict(rows) for where, rows in index.items()}
            for table, index in indexes.items()
        }
        self._numbers = dict(numbers)


class MemoryTransaction:
    """One transaction. Every statement stands at an await first, where time passes."""

    __slots__ = ("_database", "_is_over", "_process", "_wait", "_written", "held")

    def __init__(self, database: MemoryDatabase, process: Process) -> None:
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
