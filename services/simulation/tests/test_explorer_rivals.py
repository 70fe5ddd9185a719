"""Two transactions at once: every order of their statements is gone through, and noticed."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import asyncpg
import pytest

from services.simulation.database import Changes, MemoryDatabase
from services.simulation.explorer.configurations import named
from services.simulation.explorer.rivals import End, Run, Work, ends_of
from services.simulation.explorer.search import explore
from services.simulation.scheduler import Scheduler
from services.simulation.transaction import MemoryTransaction, Rows

SECONDS_MAX = 60.0
ROWS = {"a": 0, "b": 0}

Told = tuple[tuple[tuple[str, int], ...], tuple[str, ...]]  # rows, and errors


def new_database(on_commit: Callable[[Changes], None]) -> MemoryDatabase:
    database = MemoryDatabase(Scheduler(calls_max=1), on_commit)
    database.restore(({"row": ROWS}, {}, {}))
    return database


def adding(number: int, *keys: str) -> Work:
    """Add to one row after the other, each locked as it is read."""

    async def work(transaction: MemoryTransaction) -> None:
        async with transaction:
            for key in keys:
                [(_, value)] = (await transaction.lock("row", [key])).items()
                await transaction.write("row", {key: value * 10 + number})

    return work


def adding_unlocked(number: int, *keys: str) -> Work:
    """Add to one row after the other as they were when all of them were read."""

    async def work(transaction: MemoryTransaction) -> None:
        async with transaction:
            rows = await transaction.read_some("row", keys)
            for key, value in rows.items():
                await transaction.write("row", {key: value * 10 + number})

    return work


def told(end: End) -> Told:
    rows = tuple(sorted(end.database.rows("row").items()))
    return rows, tuple(sorted(type(error).__name__ for error in end.errors))


def brute_force(first: Work, second: Work, order: tuple[int, ...] = ()) -> Iterator[Told]:
    """Go through every order, with nothing left out."""
    run = Run(new_database, (first, second))
    for which in order:
        run.step(which)
    ready = run.ready()
    if not ready:
        yield told(run.end())
        return
    run.close()
    for which in ready:
        yield from brute_force(first, second, (*order, which))


@pytest.mark.parametrize("one", [adding(1, "a", "b"), adding_unlocked(1, "a", "b")])
@pytest.mark.parametrize(
    "other", [adding(2, "a", "b"), adding(2, "b", "a"), adding_unlocked(2, "b", "a")]
)
def test_no_end_is_left_out(one: Work, other: Work) -> None:
    found = {told(end) for end in ends_of(new_database, one, other)}

    assert found == set(brute_force(one, other))


def test_locks_taken_in_one_order_leave_one_after_the_other() -> None:
    ends = ends_of(new_database, adding(1, "a", "b"), adding(2, "a", "b"))

    assert {tuple(end.database.rows("row").values()) for end in ends} == {(12, 12), (21, 21)}


def test_locks_taken_in_two_orders_may_deadlock() -> None:
    ends = ends_of(new_database, adding(1, "a", "b"), adding(2, "b", "a"))

    assert {type(error) for end in ends for error in end.errors} == {asyncpg.DeadlockDetectedError}


@pytest.mark.parametrize("world", ["two students, one seat", "deadline races cancel"])
def test_what_two_processes_do_at_once_they_may_do_one_after_the_other(world: str) -> None:
    at_once = explore(named(f"{world}; rivals; one partition"), SECONDS_MAX)
    alone = explore(named(f"{world}; none; one partition"), SECONDS_MAX)

    assert (at_once.is_complete, at_once.violation) == (True, "")
    assert (at_once.states, at_once.rests) == (alone.states, alone.rests)


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("enrollment", "cancel races confirm; rivals; one partition"),
        ("section", "two students, one seat; rivals; partitions"),
        ("student", "one student, too many credits; replays; one partition"),
    ],
)
def test_rows_that_are_read_without_their_locks_are_noticed(
    table: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = MemoryTransaction.lock

    async def lock(transaction: MemoryTransaction, of: str, keys: Iterable[Any]) -> Rows:
        return await (transaction.read_some if of == table else locked.__get__(transaction))(
            of, keys
        )

    monkeypatch.setattr(MemoryTransaction, "lock", lock)

    found = explore(named(name), SECONDS_MAX)

    assert found.violation
    assert " does at once: " in found.story[-2]
