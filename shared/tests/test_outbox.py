"""The outbox keeps the order in which the events of a row were made, and only what committed."""

from uuid import UUID

from shared import outbox
from shared.database import Database, Transaction
from shared.identifiers import new_event_id
from shared.message import Emitted
from shared.tests.machinery import NOW, TRACEPARENT, rolled_back, validated, value_of

COUNT = "SELECT count(*) FROM outbox"


async def oldest(database: Database, limit: int = 100) -> list[outbox.OutboxRow]:
    async with database.transaction() as transaction:
        return await outbox.oldest(transaction, limit)


async def append(database: Database, *credits_: int) -> None:
    async with database.transaction() as transaction:
        emitted = [Emitted(validated(number), TRACEPARENT) for number in credits_]
        await outbox.append(transaction, emitted, NOW, new_event_id)


def credits_of(rows: list[outbox.OutboxRow]) -> list[str]:
    return [row.body.decode().rpartition(":")[2].strip("}") for row in rows]


async def test_an_event_waits_as_it_will_be_published(enrollment_database: Database) -> None:
    event, bare = validated(3), validated(4)
    async with enrollment_database.transaction() as transaction:
        emitted = [Emitted(event, TRACEPARENT), Emitted(bare, None)]
        await outbox.append(transaction, emitted, NOW, new_event_id)

    first, second = await oldest(enrollment_database)

    assert (first.topic, first.key, first.subject, first.event_type) == (
        "student.events",
        event.student_id,
        str(event.enrollment_id),
        "StudentValidated",
    )
    assert first.body.decode() == event.model_dump_json()
    assert (first.occurred_at, first.traceparent, second.traceparent) == (NOW, TRACEPARENT, None)
    assert isinstance(first.event_id, UUID)
    assert first.event_id.version == 7
    assert first.event_id != second.event_id


async def test_events_wait_in_the_order_in_which_they_were_added(
    enrollment_database: Database,
) -> None:
    await append(enrollment_database, 5, 3, 4)
    await append(enrollment_database, 1)

    assert credits_of(await oldest(enrollment_database)) == ["5", "3", "4", "1"]
    assert credits_of(await oldest(enrollment_database, limit=2)) == ["5", "3"]


async def test_what_rolls_back_does_not_wait(enrollment_database: Database) -> None:
    async with rolled_back(enrollment_database) as transaction:
        await outbox.append(transaction, [Emitted(validated(), None)], NOW, new_event_id)

    assert await oldest(enrollment_database) == []


async def test_a_transaction_that_commits_late_is_found_below_what_was_found_before(
    enrollment_database: Database,
) -> None:
    async with enrollment_database.transaction() as slow:
        await outbox.append(slow, [Emitted(validated(1), None)], NOW, new_event_id)
        await append(enrollment_database, 2)
        before = credits_of(await oldest(enrollment_database))

    assert before == ["2"]
    assert credits_of(await oldest(enrollment_database)) == ["1", "2"]


async def test_only_the_rows_that_are_named_are_deleted(enrollment_database: Database) -> None:
    await append(enrollment_database, 1, 2, 3)
    first, _, third = await oldest(enrollment_database)

    async with enrollment_database.transaction() as transaction:
        await outbox.delete(transaction, [first.id, third.id, 10**9])

    assert credits_of(await oldest(enrollment_database)) == ["2"]


async def test_only_the_deletion_and_nothing_after_it_goes_without_waiting_for_the_disk(
    enrollment_database: Database,
) -> None:
    await append(enrollment_database, 1)
    [row] = await oldest(enrollment_database)

    async with enrollment_database.session() as (connection, driver):
        await outbox.delete(Transaction(connection, driver), [row.id])
        afterwards = await driver.fetchval("SHOW synchronous_commit")

    assert afterwards == "on"
    assert await oldest(enrollment_database) == []


async def test_the_depth_is_counted_up_to_a_limit_and_has_the_time_of_the_oldest(
    enrollment_database: Database,
) -> None:
    async with enrollment_database.transaction() as transaction:
        empty = await outbox.depth(transaction, 10)
    await append(enrollment_database, 1, 2, 3)

    async with enrollment_database.transaction() as transaction:
        all_of_it, at_most_two = (
            await outbox.depth(transaction, 10),
            await outbox.depth(transaction, 2),
        )

    assert (empty, all_of_it, at_most_two) == ((0, None), (3, NOW), (2, NOW))


async def test_nothing_to_say_adds_nothing(enrollment_database: Database) -> None:
    await append(enrollment_database)

    assert await value_of(enrollment_database, COUNT) == 0
