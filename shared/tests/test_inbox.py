"""The inbox takes each id once, whoever asks, and sheds what has outlived its retention."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

from shared import inbox
from shared.database import Database
from shared.identifiers import EventId, new_event_id
from shared.tests.machinery import meet_in_the_middle, rolled_back, rows_of, value_of

NOW = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)


def id_of(when: datetime) -> EventId:
    """Make a UUIDv7 of a time."""
    stamp = int(when.timestamp() * 1000)
    return EventId(UUID(int=(stamp << 80) | (7 << 76) | (2 << 62) | (uuid4().int & (2**62 - 1))))


async def claim(database: Database, *ids: EventId) -> set[EventId]:
    async with database.transaction() as transaction:
        return await inbox.claim(transaction, ids)


async def renew(database: Database, now: datetime) -> None:
    async with database.transaction() as transaction:
        await inbox.renew_partitions(transaction, now)


async def partitions(database: Database) -> list[str]:
    rows = await rows_of(
        database,
        "SELECT inhrelid::regclass::text FROM pg_inherits"
        " WHERE inhparent = 'inbox'::regclass ORDER BY 1",
    )
    return [str(row[0]) for row in rows]


async def partition_of(database: Database, event_id: EventId) -> object:
    return await value_of(
        database, "SELECT tableoid::regclass::text FROM inbox WHERE event_id = $1", event_id
    )


async def test_an_id_is_taken_once(enrollment_database: Database) -> None:
    one, two, three = new_event_id(), new_event_id(), new_event_id()
    await claim(enrollment_database, one, two)

    taken = await claim(enrollment_database, three, two, three)

    assert taken == {three}


async def test_an_id_of_a_batch_that_rolled_back_can_be_taken_again(
    enrollment_database: Database,
) -> None:
    one = new_event_id()
    async with rolled_back(enrollment_database) as transaction:
        await inbox.claim(transaction, [one])

    taken = await claim(enrollment_database, one)

    assert taken == {one}


async def test_overlapping_batches_do_not_deadlock_and_share_the_ids_out(
    enrollment_database: Database,
) -> None:
    ids = [new_event_id() for _ in range(2000)]
    batches = [ids, ids[::-1], ids[1::2] + ids[::2], ids[1000:] + ids[:1000]]

    taken = await asyncio.gather(*(claim(enrollment_database, *batch) for batch in batches))

    assert sum(len(one) for one in taken) == len(ids)
    assert set().union(*taken) == set(ids)


async def test_batches_that_meet_in_the_middle_of_the_same_ids_do_not_deadlock(
    enrollment_database: Database,
) -> None:
    ids = sorted(new_event_id() for _ in range(21))
    taken: list[EventId] = []

    async def take(some: list[EventId]) -> None:
        taken.extend(await claim(enrollment_database, *some))

    await meet_in_the_middle(
        enrollment_database,
        lambda holder: inbox.claim(holder, [ids[10]]),
        lambda: take(ids),
        lambda: take(ids[::-1]),
    )

    assert sorted(taken) == ids[:10] + ids[11:]


async def test_an_id_that_another_batch_is_taking_is_waited_for(
    enrollment_database: Database,
) -> None:
    one = new_event_id()
    async with enrollment_database.transaction() as transaction:
        await inbox.claim(transaction, [one])
        other = asyncio.create_task(claim(enrollment_database, one))
        done, _ = await asyncio.wait([other], timeout=0.2)
        assert not done

    assert await other == set()


async def test_partitions_are_made_for_a_week_ahead_and_dropped_after_their_retention(
    enrollment_database: Database,
) -> None:
    await renew(enrollment_database, NOW)
    made = await partitions(enrollment_database)
    old, kept = id_of(NOW), id_of(NOW + timedelta(days=3))
    await claim(enrollment_database, old, kept)

    await renew(enrollment_database, NOW + timedelta(days=inbox.RETENTION_DAYS + 1))

    assert made == [*(f"inbox_2026030{day}" for day in range(1, 8)), "inbox_default"]
    left = await partitions(enrollment_database)
    assert "inbox_20260301" not in left
    assert {"inbox_20260302", "inbox_20260307", "inbox_20260323", "inbox_20260329"} <= set(left)
    assert await claim(enrollment_database, old, kept) == {old}


async def test_a_partition_lives_as_long_as_the_retention_asks(
    enrollment_database: Database,
) -> None:
    await renew(enrollment_database, NOW)
    last_moment = NOW + timedelta(days=inbox.RETENTION_DAYS)

    await renew(enrollment_database, last_moment)

    assert "inbox_20260301" in await partitions(enrollment_database)


async def test_an_id_is_kept_with_those_of_its_day_and_one_of_no_day_by_itself(
    enrollment_database: Database,
) -> None:
    await renew(enrollment_database, NOW)
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    last, first = id_of(midnight - timedelta(milliseconds=1)), id_of(midnight)
    strange, ancient = EventId(UUID(int=2**127)), EventId(UUID(int=1))

    taken = await claim(enrollment_database, last, first, strange, ancient)

    assert taken == {last, first, strange, ancient}
    assert await partition_of(enrollment_database, last) == "inbox_20260301"
    assert await partition_of(enrollment_database, first) == "inbox_20260302"
    assert await partition_of(enrollment_database, strange) == "inbox_default"
    assert await partition_of(enrollment_database, ancient) == "inbox_default"
    assert await claim(enrollment_database, last, first, strange, ancient) == set()


async def test_days_begin_at_midnight_utc_wherever_the_clock_is(
    enrollment_database: Database,
) -> None:
    tomorrow_already = NOW.astimezone(timezone(timedelta(hours=5)))

    await renew(enrollment_database, tomorrow_already)

    assert (await partitions(enrollment_database))[0] == "inbox_20260301"


async def test_renewing_again_and_several_at_once_changes_nothing(
    enrollment_database: Database,
) -> None:
    await asyncio.gather(*(renew(enrollment_database, NOW) for _ in range(4)))
    made = await partitions(enrollment_database)

    await renew(enrollment_database, NOW)

    assert await partitions(enrollment_database) == made
    assert len(made) == 8


async def test_a_day_whose_ids_came_too_early_stays_in_the_default_partition(
    enrollment_database: Database,
) -> None:
    stray = id_of(NOW + timedelta(days=2))
    await claim(enrollment_database, stray)

    await renew(enrollment_database, NOW)

    made = await partitions(enrollment_database)
    assert "inbox_20260303" not in made
    assert {"inbox_20260302", "inbox_20260304"} <= set(made)
    assert await claim(enrollment_database, stray, id_of(NOW + timedelta(days=2))) != set()
    assert await claim(enrollment_database, stray) == set()
