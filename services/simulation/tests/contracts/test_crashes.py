"""What the end of a connection leaves: shown on the real PostgreSQL and on the simulated one."""

import pytest

from services.simulation.tests.contracts.making import (
    NOW,
    TRACEPARENT,
    ids,
    new_id,
    parked,
    rejected,
    section,
    validated,
)
from services.simulation.tests.contracts.postgres import DATABASE_ERRORS, Postgres, Session
from services.simulation.tests.contracts.test_locks import reserved
from shared.events import StudentValidated
from shared.identifiers import PartitionKey
from shared.message import Emitted, Move
from shared.retry import is_database_outage, is_transient_database_error

PARTITION = PartitionKey("student.events", 0)


async def do_all(session: Session, question: StudentValidated, offset: int) -> None:
    """Do everything that a batch does."""
    await session.do(session.unit.advance({PARTITION: Move(offset, offset + 1)}))
    await session.do(session.unit.claim(ids(offset)))
    await session.react(question)
    await session.do(session.unit.emit([Emitted(rejected(question), TRACEPARENT)], NOW))
    await session.do(session.unit.park([parked(question)], NOW))
    work = session.letters.record(operator="ana", action="", subject="", detail="", now=NOW)
    await session.do(work)


async def test_a_crash_takes_all_that_was_open_and_nothing_that_was_committed(
    capacity: Postgres,
) -> None:
    kept, lost = validated("A"), validated("A")
    await capacity.take(section("A"))
    session = await capacity.begin()
    await do_all(session, kept, 0)
    await session.commit()
    session = await capacity.begin()
    await do_all(session, lost, 1)

    await capacity.crash()

    assert is_database_outage(await session.fail())
    assert await capacity.offsets() == {PARTITION: 1}
    again = await capacity.begin()
    assert await again.do(again.unit.claim(ids(0, 1))) == set(ids(1))
    state = await again.load(kept, lost)
    assert [one.enrollment_id for one in state.reservations.all()] == [kept.enrollment_id]
    assert reserved(state, "A") == 1
    assert [row.subject for row in await capacity.outbox()] == [str(kept.enrollment_id)]
    assert [one.enrollment_id for one in await capacity.dead_letters()] == [kept.enrollment_id]
    assert len(await capacity.audit_trail()) == 1


async def test_a_batch_is_done_anew_after_a_crash_and_its_ids_are_new(capacity: Postgres) -> None:
    question = validated("A")
    await capacity.take(section("A"))
    session = await capacity.begin()
    await do_all(session, question, 0)
    await capacity.crash()
    await session.fail()

    session = await capacity.begin()
    await do_all(session, question, 0)
    await session.commit()

    assert [row.id for row in await capacity.outbox()] == [2]
    assert [one.id for one in await capacity.dead_letters()] == [2]
    assert reserved(await capacity.load(validated("A")), "A") == 1


async def test_who_waits_for_a_row_is_told_of_a_crash(capacity: Postgres) -> None:
    await capacity.take(section("A"))
    holder, waiter = await capacity.begin(), await capacity.begin()
    await holder.load(validated("A"))
    waiting = await waiter.start(waiter.unit.load([validated("A")]))
    assert waiting.is_waiting

    await capacity.crash()

    with pytest.raises(DATABASE_ERRORS) as told:
        await waiting.result()
    assert is_database_outage(told.value)
    await holder.fail()
    await waiter.fail()
    assert reserved(await capacity.load(validated("A")), "A") == 0


async def test_who_waited_when_the_server_crashed_locks_nothing_any_more(
    capacity: Postgres,
) -> None:
    await capacity.take(section("A"), section("B"))
    holder, waiter = await capacity.begin(), await capacity.begin()
    await holder.load(validated("A"))
    waiting = await waiter.start(waiter.unit.load([validated("A", "B")]))
    assert waiting.is_waiting

    await capacity.crash()
    with pytest.raises(DATABASE_ERRORS):
        await waiting.result()
    await holder.fail()
    await waiter.fail()

    session = await capacity.begin()
    free = await session.start(session.unit.load([validated("A", "B")]))
    assert not free.is_waiting


async def test_what_was_open_on_a_cut_connection_is_lost_and_its_locks_are_free(
    capacity: Postgres,
) -> None:
    await capacity.take(section("A"))
    session, waiter = await capacity.begin(), await capacity.begin()
    await session.react(validated("A"))
    waiting = await waiter.start(waiter.unit.load([validated("A")]))
    assert waiting.is_waiting

    await capacity.disconnect(session)

    assert reserved(await waiting.result(), "A") == 0
    assert is_database_outage(await session.fail())


async def test_every_statement_on_a_cut_connection_tells_of_an_outage(capacity: Postgres) -> None:
    await capacity.take(section("A"))
    session = await capacity.begin()
    await session.load(validated("A"))
    await capacity.disconnect(session)

    for work in (
        session.unit.load([validated("A")]),
        session.unit.claim(ids(1)),
        session.unit.emit([Emitted(rejected(validated("A")), None)], NOW),
    ):
        with pytest.raises(DATABASE_ERRORS) as told:
            await session.do(work)
        assert is_database_outage(told.value)

    await session.fail()
    assert await capacity.outbox() == []


async def test_whoever_stands_still_in_a_transaction_loses_it_and_its_locks(
    capacity: Postgres,
) -> None:
    await capacity.take(section("A"))
    frozen, waiter = await capacity.begin(), await capacity.begin()
    await capacity.shorten_limits(frozen)
    await frozen.react(validated("A"))
    await capacity.rest(capacity.idle_seconds * 0.9)
    waiting = await waiter.start(waiter.unit.load([validated("A")]))

    await capacity.rest(capacity.idle_seconds * 0.2)

    assert reserved(await waiting.result(), "A") == 0
    assert is_transient_database_error(await frozen.fail())


async def test_what_stood_still_for_too_long_is_lost_though_nobody_waited_for_it(
    capacity: Postgres,
) -> None:
    question = validated("A")
    await capacity.take(section("A"))
    frozen = await capacity.begin()
    await capacity.shorten_limits(frozen)
    await frozen.react(question)

    await capacity.rest(capacity.idle_seconds * 1.5)

    assert is_transient_database_error(await frozen.fail())
    assert reserved(await capacity.load(question), "A") == 0


async def test_whoever_waits_too_long_is_told_and_frees_what_it_had(capacity: Postgres) -> None:
    low, high = sorted([new_id(), new_id()])
    first, second = validated("A", enrollment_id=low), validated("B", enrollment_id=high)
    await capacity.take(section("A"), section("B"))
    await capacity.take(first, second)
    holder, waiter, third = [await capacity.begin() for _ in range(3)]
    await holder.load(rejected(second))
    await capacity.shorten_limits(waiter)
    waiting = await waiter.start(waiter.unit.load([rejected(first), rejected(second)]))
    assert waiting.is_waiting

    await capacity.rest(capacity.lock_seconds)

    with pytest.raises(DATABASE_ERRORS) as told:
        await waiting.result()
    assert is_transient_database_error(told.value)
    assert not is_database_outage(told.value)
    free = await third.start(third.unit.load([rejected(first)]))
    assert not free.is_waiting


async def test_the_time_that_it_waits_does_not_count_as_standing_still(capacity: Postgres) -> None:
    await capacity.take(section("A"))
    holder, waiter = await capacity.begin(), await capacity.begin()
    await holder.load(validated("A"))
    waiting = await waiter.start(waiter.unit.load([validated("A")]))
    assert waiting.is_waiting
    await capacity.rest(capacity.lock_seconds * 0.9)
    await holder.commit()
    await waiting.result()

    await capacity.rest(capacity.idle_seconds * 0.9)

    assert reserved(await waiter.load(validated("A")), "A") == 0
    await waiter.commit()
