"""Runs two transactions of one database at once, in every order of their statements."""

from collections.abc import Callable, Coroutine, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from services.simulation.database import Changes, MemoryDatabase
from services.simulation.scheduler import Signal, pause
from services.simulation.transaction import MemoryTransaction

Work = Callable[[MemoryTransaction], Coroutine[Any, Any, None]]
NewDatabase = Callable[[Callable[[Changes], None]], MemoryDatabase]  # given who is told of commits

NEVER: Final = -1
IDLE: Final = frozenset({"db.begin", "db.committed"})


class Rival:
    """One of two transactions; stands still at every await until it is its turn."""

    def __init__(self, database: MemoryDatabase, work: Work) -> None:
        self.is_dead = False
        self.is_over = False
        self.error: Exception | None = None
        self.transaction = database.transaction(self)
        self._work = work(self.transaction)
        self._waits: Signal[Any] | None = None
        self._steps = 0
        self._saw_at = NEVER  # its first step after the commit of the other

    async def reach(self, point: str) -> None:
        """Let the other go first, or not; where nothing is read or written, who does is all one."""
        if point not in IDLE:
            await pause(0)

    def is_ready(self) -> bool:
        """Tell whether it may go on: it waits for no lock."""
        return not self.is_over and (self._waits is None or self._waits.is_set)

    def step(self, *, sees_commit: bool) -> None:
        """Go on to the next await."""
        self._steps += 1
        if sees_commit and self._saw_at == NEVER:
            self._saw_at = self._steps
        try:
            awaited = self._work.send(None)
        except StopIteration:
            self.is_over = True
        except Exception as error:  # noqa: BLE001  whoever judges the run will see
            self.is_over, self.error = True, error
        else:
            self._waits = awaited if isinstance(awaited, Signal) else None

    def close(self) -> None:
        """End it where it stands."""
        self._work.close()

    def key(self) -> Hashable:
        """Give all that tells how it will go on, beside the database.

        It is deterministic. What it has read follows from when the other has committed, which rows
        it found free from what it has locked, its numbers from what it has written.
        """
        written = self.transaction._written  # noqa: SLF001  nobody else may look at it
        held = tuple(self.transaction.held)
        return (
            self._steps,
            self._saw_at,
            self.is_over,
            repr(self.error),
            held,
            tuple(written.items()),
        )


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended: what is committed, by which commits, and what was raised instead."""

    database: MemoryDatabase
    commits: list[Changes]
    errors: list[Exception]
    is_stuck: bool


class Run:
    """One run of both, from the start."""

    def __init__(self, new_database: NewDatabase, works: tuple[Work, Work]) -> None:
        self.commits: list[Changes] = []
        self.database = new_database(self.commits.append)
        self.rivals = [Rival(self.database, work) for work in works]
        self._has_committed = [False, False]

    def step(self, which: int) -> None:
        """Let one of them go on."""
        before = len(self.commits)
        self.rivals[which].step(sees_commit=self._has_committed[1 - which])
        self._has_committed[which] |= len(self.commits) > before

    def ready(self) -> list[int]:
        """Name those that may go on."""
        return [n for n, rival in enumerate(self.rivals) if rival.is_ready()]

    def key(self) -> Hashable:
        """Give all that tells how the run will go on."""
        owners = {rival.transaction: n for n, rival in enumerate(self.rivals)}
        locks = frozenset(
            (place, owners[lock.owner], tuple(owners[one] for one, _ in lock.waiting))
            for place, lock in self.database.locks.items()
        )
        return locks, *(rival.key() for rival in self.rivals)

    def end(self) -> End:
        """Say how it ended."""
        errors = [rival.error for rival in self.rivals if rival.error is not None]
        is_stuck = not all(rival.is_over for rival in self.rivals)
        self.close()
        return End(self.database, self.commits, errors, is_stuck)

    def close(self) -> None:
        """End what is at work."""
        for rival in self.rivals:
            rival.close()


def ends_of(new_database: NewDatabase, first: Work, second: Work) -> Iterator[End]:
    """Give every end that two transactions at once may come to; some of them more than once.

    Every order of their statements is gone through, but for what follows where a run stands as
    another one stood before.
    """
    seen: set[Hashable] = set()
    waiting: list[tuple[int, ...]] = [()]
    while waiting:
        order = waiting.pop()
        run = Run(new_database, (first, second))
        for which in order:
            run.step(which)
        while ready := run.ready():
            key = run.key()
            if key in seen:
                run.close()
                break
            seen.add(key)
            waiting += [(*order, which) for which in ready[1:]]
            run.step(ready[0])
            order = (*order, ready[0])
        else:
            yield run.end()
