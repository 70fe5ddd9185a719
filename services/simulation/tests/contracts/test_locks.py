"""How rows are locked: shown on the real PostgreSQL and on the simulated one."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from services.capacity.model import ReservationState
from services.simulation.tests.contracts.making import (
    NOW,
    ids,
    new_id,
    rejected,
    section,
    validated,
)
from services.simulation.tests.contracts.postgres import Postgres, Session, Started
from shared.errors import RivalRowError
from shared.events import StudentValidated
from shared.identifiers import EnrollmentId
from shared.retry import is_transient_database_error


def reserved(state: Any, name: str) -> int:
    found: int = state.sections.get(section(name).key).reserved
    return found


async def begin_two(postgres: Postgres) -> tuple[Session, Session]:
    return await postgres.begin(), await postgres.begin()


async def end_of(session: Session, started: Started) -> Exception | None:
    """Commit it if its statement succeeds; else roll it back, and give the error."""
    try:
        await started.result()
    except asyncpg.PostgresError as error:
        await session.roll_back()
        return error
    await session.commit()
    return None


async def two_reservations(postgres: Postgres) -> tuple[StudentValidated, StudentValidated]:
    low, high = sorted([new_id(), new_id()])
    first, second = validated("A", enrollment_id=low), validated("B", enrollment_id=high)
    await postgres.take(section("A"), section("B"))
    await postgres.take(first, second)
    return first, second


async def test_who_waits_for_a_row_sees_it_as_its_holder_has_left_it(capacity: Postgres) -> None:
    await capacity.take(section("A"))
    holder, waiter = await begin_two(capacity)
    await holder.react(validated("A"))

    waiting = await waiter.start(waiter.unit.load([validated("A")]))
    assert waiting.is_waiting
    await holder.commit()

    assert reserved(await waiting.result(), "A") == 1


async def test_who_waits_for_a_row_that_was_rolled_back_sees_it_as_it_was(
    capacity: Postgres,
) -> None:
    await capacity.take(section("A"))
    holder, waiter = await begin_two(capacity)
    await holder.react(validated("A"))

    waiting = await waiter.start(waiter.unit.load([validated("A")]))
    assert waiting.is_waiting
    await holder.roll_back()

    assert reserved(await waiting.result(), "A") == 0


async def test_what_is_not_committed_is_not_seen_and_not_waited_for(capacity: Postgres) -> None:
    await capacity.take(section("A"))
    question = validated("A")
    holder, reader = await begin_two(capacity)
    await holder.react(section("B"), validated("B", enrollment_id=question.enrollment_id))

    loading = await reader.start(reader.unit.load([question, validated("B")]))

    assert not loading.is_waiting
    state = await loading.result()
    assert state.reservations.get(question.enrollment_id) is None
    assert [one.key.section_id for one in state.sections.all()] == ["A"]


async def test_a_transaction_sees_what_it_has_written_and_does_not_wait_for_itself(
    capacity: Postgres,
) -> None:
    await capacity.take(section("A"))
    question = validated("A")
    session = await capacity.begin()
    await session.react(question)

    state = await session.load(question)

    assert state.reservations.get(question.enrollment_id).state is ReservationState.RESERVED
    assert reserved(state, "A") == 1


async def test_locks_last_until_the_end_and_not_only_for_a_statement(capacity: Postgres) -> None:
    await capacity.take(section("A"), section("B"))
    holder, waiter = await begin_two(capacity)
    await holder.load(validated("A"))
    await holder.load(validated("B"))

    waiting = await waiter.start(waiter.unit.load([validated("A")]))

    assert waiting.is_waiting
    await holder.commit()
    await waiting.result()


async def test_three_who_want_a_row_have_it_one_after_the_other(capacity: Postgres) -> None:
    await capacity.take(section("A"))
    sessions = [await capacity.begin() for _ in range(3)]
    questions = [validated("A") for _ in sessions]
    seen = [await sessions[0].load(questions[0])]
    waiting = [await one.start(one.unit.load([validated("A")])) for one in sessions[1:]]

    for number, session in enumerate(sessions):
        if number:
            seen.append(await waiting[number - 1].result())
        capacity.decide(seen[number], questions[number], now=NOW)
        await session.do(session.unit.save(seen[number]))
        await session.commit()

    assert reserved(await capacity.load(validated("A")), "A") == 3


async def test_whoever_closes_a_circle_is_told_of_a_deadlock_and_may_try_again(
    capacity: Postgres,
) -> None:
    first, second = await two_reservations(capacity)
    one, other = await begin_two(capacity)
    await one.load(rejected(first))
    await other.load(rejected(second))

    waiting = [
        await one.start(one.unit.load([rejected(second)])),
        await other.start(other.unit.load([rejected(first)])),
    ]
    ends = [
        await end_of(session, started)
        for session, started in zip((one, other), waiting, strict=True)
    ]

    told = [error for error in ends if error is not None]
    assert [type(error) for error in told] == [asyncpg.DeadlockDetectedError]
    assert is_transient_database_error(told[0])


async def test_many_rows_are_locked_in_one_order_whatever_order_they_are_asked_for_in(
    capacity: Postgres,
) -> None:
    first, second = await two_reservations(capacity)
    holder, one, other = [await capacity.begin() for _ in range(3)]
    await holder.load(rejected(first))

    forth = await one.start(one.unit.load([rejected(first), rejected(second)]))
    back = await other.start(other.unit.load([rejected(second), rejected(first)]))
    assert forth.is_waiting
    assert back.is_waiting
    await holder.commit()
    await forth.result()
    await one.commit()
    state = await back.result()

    assert len(list(state.reservations.all())) == 2


async def test_a_row_behind_one_that_is_waited_for_is_still_free(capacity: Postgres) -> None:
    first, second = await two_reservations(capacity)
    holder, waiter, third = [await capacity.begin() for _ in range(3)]
    await holder.load(rejected(first))
    waiting = await waiter.start(waiter.unit.load([rejected(first), rejected(second)]))

    free = await third.start(third.unit.load([rejected(second)]))

    assert waiting.is_waiting
    assert not free.is_waiting


async def test_sections_too_are_locked_in_one_order(capacity: Postgres) -> None:
    await capacity.take(*map(section, "ABCDEFGHIJKL"))
    holder, waiter, third = [await capacity.begin() for _ in range(3)]
    await holder.load(validated("A"))
    waiting = await waiter.start(waiter.unit.load([validated(*"LFBGDAKCHEIJ")]))
    assert waiting.is_waiting

    free = await third.start(third.unit.load([validated(*"BCDEFGHIJKL")]))

    assert not free.is_waiting


async def test_whoever_gives_up_waiting_keeps_nobody_waiting(capacity: Postgres) -> None:
    await capacity.take(section("A"))
    holder, first, second = [await capacity.begin() for _ in range(3)]
    await holder.load(validated("A"))
    given_up = await first.start(first.unit.load([validated("A")]))
    waiting = await second.start(second.unit.load([validated("A")]))

    assert given_up.is_waiting
    await first.roll_back()
    await holder.commit()

    await waiting.result()


# Inserting what is not there


async def test_an_insert_waits_for_a_rival_and_leaves_out_what_it_has_committed(
    capacity: Postgres,
) -> None:
    rival, session = await begin_two(capacity)
    assert await rival.do(rival.unit.claim(ids(1, 2))) == set(ids(1, 2))

    waiting = await session.start(session.unit.claim(ids(2, 3)))
    assert waiting.is_waiting
    await rival.commit()

    assert await waiting.result() == set(ids(3))


async def test_an_insert_takes_what_a_rival_has_rolled_back(capacity: Postgres) -> None:
    rival, session = await begin_two(capacity)
    await rival.do(rival.unit.claim(ids(1, 2)))

    waiting = await session.start(session.unit.claim(ids(2, 3)))
    assert waiting.is_waiting
    await rival.roll_back()

    assert await waiting.result() == set(ids(2, 3))


async def test_an_insert_does_not_wait_for_whoever_has_only_locked_the_row(
    capacity: Postgres,
) -> None:
    question = validated("A")
    holder, session = await begin_two(capacity)
    state = await session.load(question)
    capacity.decide(state, rejected(question), now=NOW)
    await capacity.take(rejected(question))
    await holder.load(rejected(question))

    saving = await session.start(session.unit.save(state))

    assert not saving.is_waiting
    with pytest.raises(RivalRowError):
        await saving.result()


async def test_an_insert_waits_for_whoever_has_changed_the_row(capacity: Postgres) -> None:
    question = validated("A")
    session = await capacity.begin()
    state = await session.load(question)
    capacity.decide(state, rejected(question), now=NOW)
    await capacity.take(rejected(question))
    holder = await capacity.begin()
    await holder.react(question)

    saving = await session.start(session.unit.save(state))
    assert saving.is_waiting
    await holder.commit()

    with pytest.raises(RivalRowError):
        await saving.result()


async def test_an_insert_that_finds_the_row_there_does_not_lock_it(capacity: Postgres) -> None:
    question = validated("A")
    session, third = await begin_two(capacity)
    state = await session.load(question)
    capacity.decide(state, rejected(question), now=NOW)
    await capacity.take(rejected(question))
    holder = await capacity.begin()
    await holder.react(question)
    saving = await session.start(session.unit.save(state))
    assert saving.is_waiting
    await holder.commit()
    with pytest.raises(RivalRowError):
        await saving.result()

    free = await third.start(third.unit.load([question]))

    assert not free.is_waiting


async def test_a_row_that_was_made_while_others_were_waited_for_is_not_seen(
    capacity: Postgres,
) -> None:
    first, second = await two_reservations(capacity)
    late = validated("A", enrollment_id=EnrollmentId(UUID(int=2**128 - 1)))
    holder, waiter = await begin_two(capacity)
    await holder.load(rejected(first))
    waiting = await waiter.start(waiter.unit.load([rejected(first), rejected(late)]))
    assert waiting.is_waiting

    await capacity.take(rejected(late))
    await holder.commit()

    state = await waiting.result()
    assert state.reservations.get(late.enrollment_id) is None
    assert state.reservations.get(first.enrollment_id) is not None
    assert second.enrollment_id not in {one.enrollment_id for one in state.reservations.all()}
