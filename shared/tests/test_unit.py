"""A batch in its transaction: dead letters hold what belongs behind them, and nothing else."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
import pytest

from shared.database import Database
from shared.events import SectionPublished
from shared.identifiers import CourseId, EnrollmentId, EventId, SectionId, Term, new_event_id
from shared.message import Arrival, Emitted, Message
from shared.reaction import Batch, Context, Folded, Reactions, react
from shared.tests.machinery import (
    NOW,
    RAISING_CREDITS,
    REACTIONS,
    REFUSED_CREDITS,
    TOPIC,
    TRACEPARENT,
    TallyState,
    load,
    make_tally,
    message_of,
    rows_of,
    save,
    tally_of,
    validated,
    value_of,
)
from shared.unit import units

LETTERS = 'SELECT topic, "offset", reason FROM dead_letter ORDER BY id'
OTHER_TOPIC = "capacity.events"


@pytest.fixture
async def database(enrollment_database: Database) -> Database:
    await make_tally(enrollment_database)
    return enrollment_database


class Reading:
    """Gives arrivals their offsets, and lets them be reacted to."""

    def __init__(self, database: Database, reactions: Reactions[TallyState] = REACTIONS) -> None:
        self._open = units(database, load, save, new_event_id)
        self._reactions = reactions
        self._offset = 0

    def arrival(
        self,
        credits_: int,
        enrollment_id: EnrollmentId,
        topic: str = TOPIC,
        event_id: EventId | None = None,
    ) -> Arrival:
        event, known = validated(credits_, enrollment_id), event_id or new_event_id()
        message = message_of(event, self._offset, known, topic)
        self._offset += 1
        return Arrival(message, known, event, TRACEPARENT)

    async def take(self, *arrivals: Arrival) -> Folded:
        async with self._open() as unit:
            return await react(
                unit, Batch(arrivals, (), {}), self._reactions, NOW, uses_inbox=lambda _: True
            )


def new_enrollment() -> EnrollmentId:
    return validated().enrollment_id


async def letters(database: Database) -> list[tuple[object, ...]]:
    return await rows_of(database, LETTERS)


async def test_what_comes_later_for_an_enrollment_waits_behind_its_dead_letter(
    database: Database,
) -> None:
    reading, enrollment = Reading(database), new_enrollment()
    await reading.take(reading.arrival(RAISING_CREDITS, enrollment), reading.arrival(1, enrollment))

    await reading.take(reading.arrival(2, enrollment))

    assert await tally_of(database) == {}
    assert await letters(database) == [
        (TOPIC, 0, "decision_raised"),
        (TOPIC, 1, "held"),
        (TOPIC, 2, "held"),
    ]


async def test_other_enrollments_and_other_topics_do_not_wait(database: Database) -> None:
    reading, enrollment, other = Reading(database), new_enrollment(), new_enrollment()
    await reading.take(reading.arrival(RAISING_CREDITS, enrollment), reading.arrival(1, other))

    await reading.take(reading.arrival(2, other), reading.arrival(3, enrollment, OTHER_TOPIC))

    assert await tally_of(database) == {other: (2, 2), enrollment: (1, 3)}
    assert await letters(database) == [(TOPIC, 0, "decision_raised")]


async def test_what_came_before_in_the_batch_stands(database: Database) -> None:
    reading, enrollment = Reading(database), new_enrollment()

    folded = await reading.take(
        reading.arrival(1, enrollment), reading.arrival(RAISING_CREDITS, enrollment)
    )

    assert await tally_of(database) == {enrollment: (1, 1)}
    assert len(folded.emitted) == 1


async def test_parking_takes_the_id_so_a_repeat_is_a_duplicate(database: Database) -> None:
    reading, enrollment, event_id = Reading(database), new_enrollment(), new_event_id()
    await reading.take(reading.arrival(RAISING_CREDITS, enrollment, TOPIC, event_id))

    folded = await reading.take(reading.arrival(1, enrollment, TOPIC, event_id))

    assert folded.duplicates == 1
    assert len(await letters(database)) == 1
    assert await value_of(database, "SELECT count(*) FROM inbox") == 1


async def test_a_log_that_is_read_again_parks_a_message_once(database: Database) -> None:
    reading, enrollment = Reading(database), new_enrollment()
    arrival = reading.arrival(RAISING_CREDITS, enrollment)
    await reading.take(arrival)
    await rows_of(database, "DELETE FROM inbox")

    await reading.take(arrival)

    assert await letters(database) == [(TOPIC, 0, "decision_raised")]


async def test_a_letter_that_holds_nothing_lets_everything_pass(database: Database) -> None:
    reading, enrollment = Reading(database), new_enrollment()
    await reading.take(reading.arrival(RAISING_CREDITS, enrollment))
    await rows_of(database, "UPDATE dead_letter SET holds = false")

    await reading.take(reading.arrival(1, enrollment))

    assert await tally_of(database) == {enrollment: (1, 1)}


async def test_a_catalog_entry_that_raises_holds_no_later_one(database: Database) -> None:
    taken: list[int] = []

    def decide(_state: TallyState, event: SectionPublished, _context: Context) -> Sequence[Emitted]:
        taken.append(event.version)
        if event.version == 1:
            raise ValueError
        return ()

    reading = Reading(database, {SectionPublished: decide})
    arrivals = [
        Arrival(
            Message("section.catalog", 0, version, b"T/A", b"{}", ()),
            EventId(UUID(int=version)),
            SectionPublished(
                version=version,
                term=Term("T"),
                section_id=SectionId("A"),
                course_id=CourseId("C"),
                capacity=1,
                credits=1,
            ),
            None,
        )
        for version in (1, 2)
    ]

    await reading.take(*arrivals)

    assert taken == [1, 2]
    assert await letters(database) == [("section.catalog", 1, "decision_raised")]


async def test_an_error_at_the_end_rolls_everything_back(database: Database) -> None:
    reading, enrollment = Reading(database), new_enrollment()

    with pytest.raises(asyncpg.CheckViolationError):
        await reading.take(
            reading.arrival(RAISING_CREDITS, new_enrollment()),
            reading.arrival(REFUSED_CREDITS, enrollment),
        )

    assert await value_of(database, "SELECT count(*) FROM inbox") == 0
    assert await value_of(database, "SELECT count(*) FROM outbox") == 0
    assert await letters(database) == []
