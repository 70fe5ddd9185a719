"""Offsets move with their batch or not at all, and never for a batch that came too late."""

import asyncio

import pytest

from shared import offsets
from shared.database import Database
from shared.errors import StaleBatchError
from shared.identifiers import PartitionKey
from shared.message import Move
from shared.tests.machinery import eventually, rolled_back, rows_of

ONE, OTHER = PartitionKey("topic", 0), PartitionKey("topic", 1)


async def advance(database: Database, **moves: Move) -> None:
    keys = {"one": ONE, "other": OTHER}
    async with database.transaction() as transaction:
        await offsets.advance(transaction, {keys[name]: move for name, move in moves.items()})


async def read(database: Database) -> dict[PartitionKey, int]:
    async with database.transaction() as transaction:
        return await offsets.read(transaction)


async def test_the_first_batch_of_a_partition_makes_its_row(enrollment_database: Database) -> None:
    await advance(enrollment_database, one=Move(0, 12))

    assert await read(enrollment_database) == {ONE: 12}


async def test_partitions_move_together_from_where_they_are(enrollment_database: Database) -> None:
    await advance(enrollment_database, one=Move(0, 12))

    await advance(enrollment_database, one=Move(12, 20), other=Move(0, 3))

    assert await read(enrollment_database) == {ONE: 20, OTHER: 3}


@pytest.mark.parametrize("expected", [0, 11, 13])
async def test_a_batch_that_expects_another_offset_is_stale_and_changes_nothing(
    enrollment_database: Database, expected: int
) -> None:
    await advance(enrollment_database, one=Move(0, 12))

    with pytest.raises(StaleBatchError):
        await advance(enrollment_database, one=Move(expected, 30), other=Move(0, 5))

    assert await read(enrollment_database) == {ONE: 12}


async def test_a_batch_read_for_a_newer_database_is_stale_where_an_older_one_knows_no_offset(
    enrollment_database: Database,
) -> None:
    with pytest.raises(StaleBatchError):
        await advance(enrollment_database, one=Move(100, 110))

    assert await read(enrollment_database) == {}


async def test_a_batch_that_rolls_back_moves_nothing(enrollment_database: Database) -> None:
    async with rolled_back(enrollment_database) as transaction:
        await offsets.advance(transaction, {ONE: Move(0, 12)})

    assert await read(enrollment_database) == {}


@pytest.mark.parametrize("first_offset", [None, 7])
async def test_of_two_processes_with_the_same_batch_the_later_one_waits_and_is_refused(
    enrollment_database: Database, first_offset: int | None
) -> None:
    if first_offset is not None:
        await advance(enrollment_database, one=Move(0, first_offset))
    start = first_offset or 0
    async with enrollment_database.transaction() as slow:
        await offsets.advance(slow, {ONE: Move(start, 12)})
        late = asyncio.create_task(advance(enrollment_database, one=Move(start, 12)))

        async def waits() -> bool:
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            return bool((await rows_of(enrollment_database, waiting))[0][0])

        await eventually(waits)

    with pytest.raises(StaleBatchError):
        await late
    assert await read(enrollment_database) == {ONE: 12}
