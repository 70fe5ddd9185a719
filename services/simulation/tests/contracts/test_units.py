"""What a batch does beside its rows: shown on the real PostgreSQL and on the simulated one."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from services.simulation.tests.contracts.making import (
    NOW,
    TRACEPARENT,
    ids,
    message_of,
    new_id,
    parked,
    rejected,
    validated,
)
from services.simulation.tests.contracts.postgres import Postgres, Session
from shared.errors import StaleBatchError
from shared.identifiers import PartitionKey
from shared.message import Emitted, Move
from shared.outbox import OutboxRow

ONE, TWO = PartitionKey("student.events", 0), PartitionKey("student.events", 1)


async def advance(postgres: Postgres, moves: dict[PartitionKey, Move]) -> None:
    session = await postgres.begin()
    try:
        await session.do(session.unit.advance(moves))
    except StaleBatchError:
        await session.roll_back()
        raise
    await session.commit()


async def emit(session: Session, *names: str) -> None:
    events = [Emitted(rejected(validated(student=name)), TRACEPARENT) for name in names]
    await session.do(session.unit.emit(events, NOW))


def said(rows: Sequence[OutboxRow]) -> list[str]:
    return [row.key for row in rows]


# Offsets


async def test_the_first_batch_of_a_partition_begins_at_no_offset(capacity: Postgres) -> None:
    await advance(capacity, {ONE: Move(0, 5), TWO: Move(0, 7)})

    assert await capacity.offsets() == {ONE: 5, TWO: 7}


async def test_each_batch_begins_where_the_one_before_it_ended(capacity: Postgres) -> None:
    await advance(capacity, {ONE: Move(0, 5)})

    await advance(capacity, {ONE: Move(5, 6), TWO: Move(0, 7)})

    assert await capacity.offsets() == {ONE: 6, TWO: 7}


@pytest.mark.parametrize("expected", [0, 4, 6])
async def test_a_batch_that_expects_another_offset_is_refused_with_all_its_partitions(
    capacity: Postgres, expected: int
) -> None:
    await advance(capacity, {TWO: Move(0, 5)})

    with pytest.raises(StaleBatchError):
        await advance(capacity, {ONE: Move(0, 1), TWO: Move(expected, 7)})

    assert await capacity.offsets() == {TWO: 5}


async def test_whoever_has_read_for_a_database_that_knew_more_is_refused(
    capacity: Postgres,
) -> None:
    with pytest.raises(StaleBatchError):
        await advance(capacity, {ONE: Move(5, 6)})

    assert await capacity.offsets() == {}


async def test_a_batch_that_moves_nothing_is_not_refused(capacity: Postgres) -> None:
    await advance(capacity, {})

    assert await capacity.offsets() == {}


@pytest.mark.parametrize("expected", [0, 5])
async def test_of_two_with_the_same_batch_the_later_one_waits_and_is_refused(
    capacity: Postgres, expected: int
) -> None:
    await advance(capacity, {ONE: Move(0, expected)})
    first, second = await capacity.begin(), await capacity.begin()
    await first.do(first.unit.advance({ONE: Move(expected, 8)}))

    waiting = await second.start(second.unit.advance({ONE: Move(expected, 8)}))
    assert waiting.is_waiting
    await first.commit()

    with pytest.raises(StaleBatchError):
        await waiting.result()


async def test_where_the_first_of_two_rolls_back_the_second_goes_on(capacity: Postgres) -> None:
    first, second = await capacity.begin(), await capacity.begin()
    await first.do(first.unit.advance({ONE: Move(0, 8)}))

    waiting = await second.start(second.unit.advance({ONE: Move(0, 9)}))
    assert waiting.is_waiting
    await first.roll_back()
    await waiting.result()
    await second.commit()

    assert await capacity.offsets() == {ONE: 9}


async def test_partitions_do_not_wait_for_each_other(capacity: Postgres) -> None:
    first, second = await capacity.begin(), await capacity.begin()
    await first.do(first.unit.advance({ONE: Move(0, 8)}))

    free = await second.start(second.unit.advance({TWO: Move(0, 9)}))

    assert not free.is_waiting


# The inbox


async def test_an_id_is_taken_once(capacity: Postgres) -> None:
    session = await capacity.begin()

    first = await session.do(session.unit.claim(ids(1, 2, 2)))
    second = await session.do(session.unit.claim(ids(2, 3)))
    none = await session.do(session.unit.claim([]))
    await session.commit()

    assert (first, second, none) == (set(ids(1, 2)), set(ids(3)), set())
    session = await capacity.begin()
    assert await session.do(session.unit.claim(ids(1, 3, 4))) == set(ids(4))


async def test_an_id_of_a_batch_that_rolled_back_can_be_taken_again(capacity: Postgres) -> None:
    session = await capacity.begin()
    await session.do(session.unit.claim(ids(1)))
    await session.roll_back()

    session = await capacity.begin()

    assert await session.do(session.unit.claim(ids(1))) == set(ids(1))


async def test_those_who_meet_in_the_middle_of_the_same_ids_do_not_deadlock(
    capacity: Postgres,
) -> None:
    first, second, third = [await capacity.begin() for _ in range(3)]
    await first.do(first.unit.claim(ids(2)))

    forth = await second.start(second.unit.claim(ids(1, 2, 3)))
    back = await third.start(third.unit.claim(ids(3, 2, 1)))
    assert forth.is_waiting
    assert back.is_waiting
    await first.commit()

    assert await forth.result() == set(ids(1, 3))
    await second.commit()
    assert await back.result() == set()


# The outbox


async def test_what_is_emitted_waits_as_it_will_be_published(capacity: Postgres) -> None:
    event = rejected(validated("A", enrollment_id=new_id(), student="S7"))
    session = await capacity.begin()
    await session.do(session.unit.emit([Emitted(event, TRACEPARENT), Emitted(event, None)], NOW))
    await session.commit()

    rows = await capacity.outbox()

    assert [row.id for row in rows] == [1, 2]
    assert [row.event_id for row in rows] == ids(1, 2)
    assert [row.traceparent for row in rows] == [TRACEPARENT, None]
    message = message_of(event)
    row = rows[0]
    assert (row.topic, row.body) == (message.topic, message.value)
    assert (row.event_type, row.key) == ("EnrollmentRejected", "S7")
    assert (row.subject, row.occurred_at) == (str(event.enrollment_id), NOW)


async def test_nothing_to_say_adds_nothing(capacity: Postgres) -> None:
    session = await capacity.begin()
    await emit(session)
    await emit(session, "first")
    await session.commit()

    assert [(row.id, row.key) for row in await capacity.outbox()] == [(1, "first")]


async def test_ids_are_counted_when_they_are_asked_for_and_seen_when_they_are_committed(
    capacity: Postgres,
) -> None:
    early, late = await capacity.begin(), await capacity.begin()
    await emit(late, "1")
    await emit(early, "2", "3")
    await emit(late, "4")

    assert await capacity.outbox() == []
    await early.commit()
    assert said(await capacity.outbox()) == ["2", "3"]
    await late.commit()

    rows = await capacity.outbox()
    assert [(row.id, row.key) for row in rows] == [(1, "1"), (2, "2"), (3, "3"), (4, "4")]


async def test_what_rolls_back_is_not_said_and_its_ids_are_never_given_again(
    capacity: Postgres,
) -> None:
    session = await capacity.begin()
    await emit(session, "1", "2")
    await session.roll_back()

    session = await capacity.begin()
    await emit(session, "3")
    await session.commit()

    assert [(row.id, row.key) for row in await capacity.outbox()] == [(3, "3")]


# Dead letters


async def test_what_is_parked_is_kept_as_it_came(capacity: Postgres) -> None:
    letter = parked(validated("A"), holds=True)
    session = await capacity.begin()
    await session.do(session.unit.park([letter], NOW))
    await session.commit()

    [kept] = await capacity.dead_letters()

    assert (kept.id, kept.message, kept.parked_at) == (1, letter.message, NOW)
    assert (kept.event_type, kept.enrollment_id) == (letter.event_type, letter.enrollment_id)
    assert (kept.reason, kept.detail, kept.holds) == (letter.reason, letter.detail, True)


async def test_a_detail_is_kept_without_what_no_text_can_hold(capacity: Postgres) -> None:
    session = await capacity.begin()
    await session.do(session.unit.park([parked(validated("A"), detail="a\x00b\u2028ñ")], NOW))
    await session.commit()

    [kept] = await capacity.dead_letters()

    assert kept.detail == "ab\u2028ñ"


async def test_a_message_is_parked_once_and_stays_as_it_was(capacity: Postgres) -> None:
    first = parked(validated("A"), offset=7, detail="first")
    again = parked(validated("A"), offset=7, detail="again")
    session = await capacity.begin()
    await session.do(session.unit.park([first, again], NOW))
    await session.commit()

    session = await capacity.begin()
    await session.do(session.unit.park([again], NOW + timedelta(seconds=1)))
    await session.do(session.unit.park([parked(validated("A"), offset=8)], NOW))
    await session.commit()

    letters = await capacity.dead_letters()
    assert [(one.message.offset, one.detail) for one in letters] == [(7, "first"), (8, "why")]
    assert [one.id for one in letters] == [1, 4]  # each try has counted


async def test_whoever_finds_a_message_parked_keeps_nobody_waiting(capacity: Postgres) -> None:
    letter = parked(validated("A"), offset=7)
    session = await capacity.begin()
    await session.do(session.unit.park([letter], NOW))
    await session.commit()
    first, second = await capacity.begin(), await capacity.begin()
    await first.do(first.unit.park([letter], NOW))

    free = await second.start(second.unit.park([letter], NOW))

    assert not free.is_waiting


async def test_whoever_parks_the_same_message_waits_and_leaves_it(capacity: Postgres) -> None:
    first, second = await capacity.begin(), await capacity.begin()
    await first.do(first.unit.park([parked(validated("A"), offset=7, detail="first")], NOW))

    waiting = await second.start(
        second.unit.park([parked(validated("A"), offset=7, detail="second")], NOW)
    )
    assert waiting.is_waiting
    await first.commit()
    await waiting.result()
    await second.commit()

    assert [one.detail for one in await capacity.dead_letters()] == ["first"]


async def test_whoever_parks_the_same_message_parks_it_where_the_first_has_rolled_back(
    capacity: Postgres,
) -> None:
    first, second = await capacity.begin(), await capacity.begin()
    await first.do(first.unit.park([parked(validated("A"), offset=7, detail="first")], NOW))

    waiting = await second.start(
        second.unit.park([parked(validated("A"), offset=7, detail="second")], NOW)
    )
    assert waiting.is_waiting
    await first.roll_back()
    await waiting.result()
    await second.commit()

    assert [one.detail for one in await capacity.dead_letters()] == ["second"]


@pytest.mark.parametrize("is_committed", [True, False])
async def test_whoever_parks_what_is_being_replayed_waits_for_that(
    capacity: Postgres, is_committed: bool
) -> None:
    letter = parked(validated("A"), offset=7)
    session = await capacity.begin()
    await session.do(session.unit.park([letter], NOW))
    await session.commit()
    replay, session = await capacity.begin(), await capacity.begin()
    await replay.do(replay.letters.delete(1))

    waiting = await session.start(session.unit.park([letter], NOW))
    assert waiting.is_waiting
    await (replay.commit() if is_committed else replay.roll_back())
    await waiting.result()
    await session.commit()

    assert [one.id for one in await capacity.dead_letters()] == [2 if is_committed else 1]
