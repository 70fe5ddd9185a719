"""PostgreSQL in memory, in virtual time: READ COMMITTED, row locks, and all that crashes spare."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from services.simulation.ports import Process
from services.simulation.scheduler import Scheduler
from services.simulation.transaction import Lock, MemoryTransaction, Place, Rows
from shared.identifiers import PartitionKey

if TYPE_CHECKING:
    from services.simulation.lease import MemoryLease

Change = tuple[Any, Any, Any]  # a key, its row before and after; None where there is none
Changes = Mapping[str, Sequence[Change]]
IndexOf = Callable[[Any], Any]  # gives a row's place in its table's index, or None


def unwatched(_changes: Changes) -> None:
    """Have nobody told of a commit."""


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

    def where_of(self, table: str, row: Any) -> Any:
        """Tell where a row has its place in the index of its table; None for nowhere."""
        return self._index_of[table](row)

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
        """Free the locks of a transaction."""
        self._open.pop(transaction, None)
        for place in places:
            self.free(place)

    def free(self, place: Place) -> None:
        """Give a lock to the next who waits for it."""
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
        self._unflushed = {}
