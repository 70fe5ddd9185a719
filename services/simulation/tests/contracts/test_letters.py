"""Dead letters and the audit trail: shown on the real PostgreSQL and on the simulated one."""

from datetime import timedelta
from typing import Any

import pytest

from services.simulation.tests.contracts.making import (
    NOW,
    new_id,
    parked,
    rejected,
    section,
    validated,
)
from services.simulation.tests.contracts.postgres import REACTIONS, Postgres, Session
from shared.audit_trail import first_break
from shared.dead_letter import replay
from shared.errors import DeadLetterError
from shared.events import StudentValidated
from shared.reaction import Parked

STUDENT_EVENTS, ENROLLMENT_EVENTS = "student.events", "enrollment.events"


async def park(postgres: Postgres, *letters: Parked) -> None:
    session = await postgres.begin()
    await session.do(session.unit.park(letters, NOW))
    await session.commit()


async def queue_of(session: Session, letter_id: int) -> list[int]:
    return [one.id for one in await session.do(session.letters.queue_of(letter_id))]


async def record(session: Session, subject: str) -> None:
    work = session.letters.record(
        operator="ana", action="look", subject=subject, detail="", now=NOW
    )
    await session.do(work)


# What holds others


async def test_what_holds_is_told_by_topic_and_enrollment(capacity: Postgres) -> None:
    first, second = validated("A"), validated("B")
    await park(
        capacity,
        parked(first, holds=True),
        parked(first, holds=True),
        parked(rejected(first), holds=True),
        parked(second, holds=False),
        parked(validated("A"), holds=True),
    )
    session = await capacity.begin()

    held = await session.do(session.unit.holding([first.enrollment_id, second.enrollment_id]))
    none = await session.do(session.unit.holding([]))

    assert held == {(STUDENT_EVENTS, first.enrollment_id), (ENROLLMENT_EVENTS, first.enrollment_id)}
    assert none == set()


async def test_a_batch_sees_what_it_has_parked_itself(capacity: Postgres) -> None:
    event = validated("A")
    session = await capacity.begin()
    await session.do(session.unit.park([parked(event, holds=True)], NOW))

    held = await session.do(session.unit.holding([event.enrollment_id]))

    assert held == {(STUDENT_EVENTS, event.enrollment_id)}


@pytest.mark.parametrize("is_committed", [True, False])
async def test_a_batch_waits_for_a_replay_and_is_held_unless_it_was_committed(
    capacity: Postgres, is_committed: bool
) -> None:
    event = validated("A")
    await park(capacity, parked(event, holds=True))
    replay, batch = await capacity.begin(), await capacity.begin()
    await queue_of(replay, 1)
    await replay.do(replay.letters.delete(1))

    waiting = await batch.start(batch.unit.holding([event.enrollment_id]))
    assert waiting.is_waiting
    await (replay.commit() if is_committed else replay.roll_back())

    held = set() if is_committed else {(STUDENT_EVENTS, event.enrollment_id)}
    assert await waiting.result() == held


async def test_a_replay_waits_for_the_batch_that_has_asked_what_holds(capacity: Postgres) -> None:
    event = validated("A")
    await park(capacity, parked(event, holds=True))
    batch, replay = await capacity.begin(), await capacity.begin()
    await batch.do(batch.unit.holding([event.enrollment_id]))

    waiting = await replay.start(replay.letters.queue_of(1))
    assert waiting.is_waiting
    await batch.do(batch.unit.park([parked(event, holds=True)], NOW))
    await batch.commit()

    assert [one.id for one in await waiting.result()] == [1]  # not what came while it waited
    assert await queue_of(replay, 1) == [1, 2]


async def test_a_letter_of_another_enrollment_is_not_waited_for(capacity: Postgres) -> None:
    first, second = validated("A"), validated("A")
    await park(capacity, parked(first, holds=True), parked(second, holds=True))
    replay, batch = await capacity.begin(), await capacity.begin()
    await queue_of(replay, 1)

    free = await batch.start(batch.unit.holding([second.enrollment_id, new_id()]))

    assert not free.is_waiting


# The queue of a letter


async def test_a_queue_has_what_holds_of_its_topic_and_enrollment_oldest_first(
    capacity: Postgres,
) -> None:
    event = validated("A")
    await park(
        capacity,
        parked(event, holds=True, offset=9),
        parked(event, holds=False, offset=2),
        parked(rejected(event), holds=True),
        parked(validated("A"), holds=True),
        parked(event, holds=True, offset=1),
    )
    session = await capacity.begin()

    assert await queue_of(session, 1) == [1, 5]
    assert await queue_of(session, 5) == [1, 5]
    assert await queue_of(session, 2) == [2]
    assert await queue_of(session, 3) == [3]


async def test_a_queue_is_in_the_order_of_ids_and_not_of_commits(capacity: Postgres) -> None:
    event = validated("A")
    late = await capacity.begin()
    await late.do(late.unit.park([parked(event, holds=True)], NOW))
    await park(capacity, parked(event, holds=True))
    await late.commit()

    session = await capacity.begin()

    assert await queue_of(session, 2) == [1, 2]


async def test_there_is_no_queue_of_a_letter_that_is_not_there(capacity: Postgres) -> None:
    await park(capacity, parked(validated("A"), holds=True))
    session = await capacity.begin()
    await session.do(session.letters.delete(1))
    await session.do(session.letters.delete(7))

    with pytest.raises(DeadLetterError):
        await queue_of(session, 1)


async def test_of_two_replays_the_second_waits_and_finds_nothing(capacity: Postgres) -> None:
    event = validated("A")
    await park(capacity, parked(event, holds=True), parked(event, holds=True))
    first, second = await capacity.begin(), await capacity.begin()
    for letter_id in await queue_of(first, 1):
        await first.do(first.letters.delete(letter_id))

    waiting = await second.start(second.letters.queue_of(2))
    assert waiting.is_waiting
    await first.commit()

    with pytest.raises(DeadLetterError):
        await waiting.result()


async def test_who_waits_for_a_queue_gets_those_that_were_left(capacity: Postgres) -> None:
    event = validated("A")
    await park(capacity, parked(event, holds=True), parked(event, holds=True))
    discard, second = await capacity.begin(), await capacity.begin()
    await queue_of(discard, 1)
    await discard.do(discard.letters.delete(1))

    waiting = await second.start(second.letters.queue_of(1))
    assert waiting.is_waiting
    await discard.commit()

    assert [one.id for one in await waiting.result()] == [2]


# A replay


async def replay_first(postgres: Postgres, session: Session) -> Any:
    reactions = REACTIONS[postgres.service]
    work = replay(session.letters, session.unit, 1, reactions, operator="ana", now=NOW)
    return await session.do(work)


async def parked_question(postgres: Postgres) -> StudentValidated:
    event = validated("A")
    await postgres.take(section("A"))
    await park(postgres, parked(event, holds=True))
    return event


async def test_a_replay_is_all_or_nothing(capacity: Postgres) -> None:
    event = await parked_question(capacity)
    session = await capacity.begin()
    await replay_first(capacity, session)
    await session.roll_back()

    state = await capacity.load(event)

    assert state.reservations.get(event.enrollment_id) is None
    assert len(await capacity.dead_letters()) == 1
    assert (await capacity.outbox(), await capacity.audit_trail()) == ([], [])


async def test_of_two_replays_at_once_one_decides(capacity: Postgres) -> None:
    event = await parked_question(capacity)
    first, second = await capacity.begin(), await capacity.begin()
    await replay_first(capacity, first)
    reactions = REACTIONS[capacity.service]
    waiting = await second.start(
        replay(second.letters, second.unit, 1, reactions, operator="ben", now=NOW)
    )
    assert waiting.is_waiting
    await first.commit()

    with pytest.raises(DeadLetterError):
        await waiting.result()

    await second.roll_back()
    assert [row.subject for row in await capacity.outbox()] == [str(event.enrollment_id)]
    assert await capacity.dead_letters() == []
    assert [one.operator for one in await capacity.audit_trail()] == ["ana"]


# The audit trail


async def test_records_are_numbered_and_chained(capacity: Postgres) -> None:
    session = await capacity.begin()
    await record(session, "1")
    await record(session, "2")
    await session.commit()
    session = await capacity.begin()
    work = session.letters.record(
        operator="ben", action="discard", subject="3", detail="ñ", now=NOW + timedelta(seconds=1)
    )
    await session.do(work)
    await session.commit()

    trail = await capacity.audit_trail()

    assert [(one.id, one.subject) for one in trail] == [(1, "1"), (2, "2"), (3, "3")]
    assert (trail[2].operator, trail[2].action, trail[2].detail) == ("ben", "discard", "ñ")
    assert trail[2].recorded_at == NOW + timedelta(seconds=1)
    assert first_break(trail) is None


@pytest.mark.parametrize("is_committed", [True, False])
async def test_of_two_who_record_the_second_waits_and_follows(
    capacity: Postgres, is_committed: bool
) -> None:
    first, second = await capacity.begin(), await capacity.begin()
    await record(first, "first")

    waiting = await second.start(
        second.letters.record(operator="ben", action="", subject="second", detail="", now=NOW)
    )
    assert waiting.is_waiting
    await (first.commit() if is_committed else first.roll_back())
    await waiting.result()
    await second.commit()

    trail = await capacity.audit_trail()
    subjects = ["first", "second"] if is_committed else ["second"]
    assert [one.subject for one in trail] == subjects
    assert first_break(trail) is None
