"""Runs one transaction of a service's own code, from one state of its database to the next."""

from asyncio import CancelledError
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

from services.enrollment.handlers import reject_overdue
from services.simulation.database import Changes, MemoryDatabase
from services.simulation.explorer.contents import (
    NOW,
    Contents,
    Tables,
    canonical,
    overdue,
    snapshot_of,
)
from services.simulation.explorer.judging import judge_commit, judge_relay
from services.simulation.explorer.rivals import Work, ends_of
from services.simulation.lease import MemoryLease
from services.simulation.letters import MemoryLetters
from services.simulation.narrative import describe
from services.simulation.plan import Setting
from services.simulation.scheduler import Scheduler
from services.simulation.transaction import MemoryTransaction
from services.simulation.unit import MemoryDeadlineUnit, MemoryUnit
from services.simulation.wiring import INDEXES, Poisoned, parts_of, policy_of
from shared.choreography import Service
from shared.codec import uses_inbox
from shared.dead_letter import OUTCOME_NEEDED, UNREADABLE, DeadLetter, discard, replay
from shared.errors import DeadLetterError, StaleBatchError
from shared.identifiers import EnrollmentId, EventId, PartitionKey
from shared.message import Arrival, Move, Unreadable
from shared.outbox import OutboxRow
from shared.reaction import Batch, react
from shared.relay import relay_once
from shared.retry import is_transient_database_error

SETTING: Final = Setting(
    partitions=1, instances=1, latency_us=0, deadline_seconds=20.0, pending_max=1000, skew_us=()
)
NOBODY: Final[Poisoned] = set()
COMMITTED: Final = "db.committed"
OPERATOR: Final = "operator"

T = TypeVar("T")
Messages = Sequence[Arrival | Unreadable]


class Passer:
    """A process that no await keeps waiting; it may be killed or cut off at one of them."""

    def __init__(self, killed_at: int = 0, cut_off_at: str = "") -> None:
        self.is_dead = False
        self.awaits = 0
        self._killed_at = killed_at
        self._cut_off_at = cut_off_at

    async def reach(self, point: str) -> None:
        """Pass an await, or not."""
        self.awaits += 1
        if self.awaits == self._killed_at:
            self.is_dead = True
            raise CancelledError
        if point == self._cut_off_at:
            raise ConnectionResetError(point)


@dataclass(slots=True)
class Effect:
    """What came of a transaction. `moved` counts how far its offsets are.

    `number` is that of the contents, and given by whoever numbers them.
    """

    contents: Contents
    moved: Mapping[PartitionKey, int] = field(default_factory=dict)
    published: Sequence[OutboxRow] = ()
    violations: Sequence[str] = ()
    tells: Sequence[str] = ()
    awaits: int = 0
    is_allowed: bool = True
    number: int = 0


def drive(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never has to wait to its end."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("a transaction waits, though nobody else is at work")


def _no_id() -> EventId:
    return EventId(UUID(int=0))  # the canonical form has ids of its own


class Transactions:
    """One service at work. Every method leads from contents to what may come of them."""

    def __init__(self, service: Service, *, has_inbox: bool, keeps_numbers: bool) -> None:
        self.service = service
        self._canonical = partial(canonical, keeps_numbers=keeps_numbers)
        self._uses_inbox: Callable[[str], bool] = uses_inbox if has_inbox else _never
        self._changes: list[Changes] = []
        self._database = self._new_database(self._changes.append)
        self._parts = parts_of(service, SETTING, NOBODY)

    def _new_database(self, on_commit: Callable[[Changes], None]) -> MemoryDatabase:
        return MemoryDatabase(Scheduler(calls_max=1), on_commit, INDEXES[self.service])

    def handle(
        self,
        contents: Contents,
        batch: Messages,
        process: Passer,
        *,
        poison: Arrival | Unreadable | None = None,
        is_behind: bool = False,
        is_read_again: bool = False,
    ) -> Effect:
        """Handle a batch. The decision on `poison` raises.

        `is_behind`: the database has moved its offsets past the batch already. `is_read_again`: it
        came in another way, and moves none.
        """
        work = self.handling(batch, poison=poison, is_read_again=is_read_again)
        tables = {"consumer_offset": _ends(batch)} if is_behind else {}
        effect = self._run(contents, self._alone(work, process), process, tables)
        return replace(effect, moved={}) if is_behind else effect

    def handling(
        self,
        batch: Messages,
        *,
        poison: Arrival | Unreadable | None = None,
        is_read_again: bool = False,
    ) -> Work:
        """Give the work of handling a batch."""
        arrivals = [one for one in batch if isinstance(one, Arrival)]
        unreadable = [one for one in batch if isinstance(one, Unreadable)]
        moves = {} if is_read_again else {key: Move(0, end) for key, end in _ends(batch).items()}
        parts = self._parts
        if isinstance(poison, Arrival):
            parts = parts_of(self.service, SETTING, _poisoned(poison))

        async def work(transaction: MemoryTransaction) -> None:
            with suppress(StaleBatchError):
                async with MemoryUnit(transaction, parts.load, parts.save, _no_id) as unit:
                    await react(
                        unit,
                        Batch(arrivals, unreadable, moves),
                        parts.reactions,
                        NOW,
                        uses_inbox=self._uses_inbox,
                    )

        return work

    def expire(self, contents: Contents, ids: Sequence[EnrollmentId], process: Passer) -> Effect:
        """Let deadlines pass."""
        work = self._alone(expire, process)
        return self._run(contents, work, process, overdue(contents, ids))

    def relay(self, contents: Contents, limit: int, process: Passer) -> Effect:
        """Publish the oldest rows."""
        published: list[OutboxRow] = []

        async def publish(rows: Sequence[OutboxRow]) -> None:
            for row in rows:
                await process.reach("kafka.append")
                published.append(row)
            await process.reach("kafka.acknowledge")

        async def work() -> None:
            async with MemoryLease(self._database, process) as lease:
                await relay_once(lease, publish, limit)

        effect = self._run(contents, work, process, {})
        effect.published = published
        effect.violations = [
            *effect.violations,
            *judge_relay(contents.rows("outbox"), self._database.rows("outbox"), published),
        ]
        return effect

    def replay(self, contents: Contents, letter_id: int) -> Effect:
        """Replay a dead letter and those behind it, if the rules allow it."""
        process = Passer()
        work = self._alone(self.replaying(letter_id), process)
        try:
            return self._run(contents, work, process, {})
        except DeadLetterError:
            return Effect(contents, is_allowed=False)

    def replaying(self, letter_id: int) -> Work:
        """Give the work of replaying a dead letter."""

        async def work(transaction: MemoryTransaction) -> None:
            parts = self._parts
            async with MemoryUnit(transaction, parts.load, parts.save, _no_id) as unit:
                await replay(
                    MemoryLetters(transaction),
                    unit,
                    letter_id,
                    parts.reactions,
                    operator=OPERATOR,
                    now=NOW,
                )

        return work

    def discard(self, contents: Contents, letter: DeadLetter) -> Effect:
        """Give a dead letter up, if the rules allow it."""
        process, parts = Passer(), self._parts

        async def work(transaction: MemoryTransaction) -> None:
            async with MemoryUnit(transaction, parts.load, parts.save, _no_id) as unit:
                await discard(
                    MemoryLetters(transaction),
                    unit,
                    letter.id,
                    parts.reactions,
                    outcome=OUTCOME_NEEDED.get(letter.event_type or UNREADABLE),
                    operator=OPERATOR,
                    now=NOW,
                )

        try:
            effect = self._run(contents, self._alone(work, process), process, {})
        except DeadLetterError:
            return Effect(contents, is_allowed=False)
        given_up = [(f"{letter.event_type} given up", letter.enrollment_id)]
        effect.contents = self._canonical(effect.contents, effect.contents.tables, given_up)
        return effect

    def together(
        self, contents: Contents, first: Work, second: Work, tables: Tables
    ) -> Iterator[Effect]:
        """Run two transactions at once: give everything that they may come to."""
        snapshot = snapshot_of(self.service, contents, tables)

        def new_database(on_commit: Callable[[Changes], None]) -> MemoryDatabase:
            database = self._new_database(on_commit)
            database.restore(snapshot)
            return database

        for end in ends_of(new_database, first, second):
            effect = self._effect_of(contents, end.database, end.commits)
            wrong = [f"7: a transaction fails: {e!r}" for e in end.errors if not _passes(e)]
            if end.is_stuck:
                wrong.append("7: two transactions wait for each other for ever")
            effect.violations = [*wrong, *effect.violations]
            yield effect

    def _alone(self, work: Work, process: Passer) -> Callable[[], Coroutine[Any, Any, None]]:
        return lambda: work(self._database.transaction(process))

    def _run(
        self,
        contents: Contents,
        work: Callable[[], Coroutine[Any, Any, None]],
        process: Passer,
        tables: Tables,
    ) -> Effect:
        self._changes.clear()
        self._database.restore(snapshot_of(self.service, contents, tables))
        struck, wrong = [], []
        try:
            drive(work())
        except (CancelledError, ConnectionResetError) as error:  # it may have committed
            struck.append(f"is struck: {type(error).__name__}")
        except DeadLetterError:
            raise
        except Exception as error:  # noqa: BLE001  whatever it was, nothing should have raised
            wrong.append(f"7: a transaction fails, and would for ever: {error!r}")
        effect = self._effect_of(contents, self._database, self._changes)
        effect.tells = [*struck, *effect.tells]
        effect.violations = [*wrong, *effect.violations]
        effect.awaits = process.awaits
        return effect

    def _effect_of(
        self, contents: Contents, database: MemoryDatabase, commits: Sequence[Changes]
    ) -> Effect:
        after, _, _ = database.snapshot()
        before, violations, tells = contents, list[str](), list[str]()
        for changes in commits:
            violations += judge_commit(self.service, before, changes)
            tells += describe(self.service, changes)
            before = before.with_changes(changes)
        moved = dict(after.get("consumer_offset", {}))
        return Effect(self._canonical(contents, after), moved, violations=violations, tells=tells)


async def expire(transaction: MemoryTransaction) -> None:
    """Reject what is overdue."""
    async with MemoryDeadlineUnit(transaction, policy_of(SETTING), _no_id) as unit:
        await reject_overdue(unit, NOW)


def _ends(batch: Messages) -> Mapping[PartitionKey, int]:
    """Count how far a batch moves each offset."""
    return Counter(one.message.partition_key for one in batch)


def _passes(error: Exception) -> bool:
    """Tell whether it is right to fail: a process tries again, an operator sees why not."""
    return is_transient_database_error(error) or isinstance(error, DeadLetterError)


def _poisoned(arrival: Arrival) -> Poisoned:
    """Name the decision; that on a catalog is on no enrollment."""
    decision: Any = (type(arrival.event).__name__, arrival.enrollment_id)
    return {decision}


def _never(_topic: str) -> bool:
    return False
