"""The store of capacity, on a real database."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from services.capacity import store
from services.capacity.handlers import REACTIONS
from services.capacity.model import Reservation, ReservationState, Section
from shared.database import Database, Transaction
from shared.errors import RivalRowError
from shared.events import (
    EnrollmentEvent,
    EnrollmentRejected,
    Event,
    SectionPublished,
    SectionState,
    SectionWithdrawn,
    Stage,
    StudentValidated,
)
from shared.identifiers import CourseId, EnrollmentId, SectionId, SectionKey, StudentId, Term
from shared.reaction import Context
from shared.tests.machinery import again_if_rivalled, meet_in_the_middle, schema_differences

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TERM = Term("T")


def validated(
    *sections: str, enrollment_id: EnrollmentId | None = None, term: str = TERM
) -> StudentValidated:
    return StudentValidated(
        enrollment_id=enrollment_id or EnrollmentId(uuid4()),
        student_id=StudentId("S1"),
        term=Term(term),
        sections=tuple(SectionId(section) for section in sections),
        credits=6,
    )


def rejected(of: EnrollmentEvent) -> EnrollmentRejected:
    return EnrollmentRejected(
        enrollment_id=of.enrollment_id, student_id=of.student_id, stage=Stage.DEADLINE, reasons=()
    )


def published(section: str, version: int = 1, capacity: int = 1) -> SectionPublished:
    return SectionPublished(
        version=version,
        term=TERM,
        section_id=SectionId(section),
        course_id=CourseId("C"),
        capacity=capacity,
        credits=3,
    )


def reservation_of(event: StudentValidated, state: ReservationState) -> Reservation:
    return Reservation(
        enrollment_id=event.enrollment_id,
        student_id=event.student_id,
        state=state,
        is_answered=state is not ReservationState.RELEASED,
        term=event.term,
        sections=event.sections,
        decided_at=NOW,
    )


async def react(transaction: Transaction, events: Sequence[Event]) -> None:
    """Do what a batch of these events does."""
    state = await store.load(transaction, events)
    for event in events:
        REACTIONS[type(event)](state, event, Context(NOW, None))
    await store.save(transaction, state)


async def take(database: Database, *events: Event) -> None:
    async def once() -> None:
        async with database.transaction() as transaction:
            await react(transaction, events)

    await again_if_rivalled(once)


async def reserved(database: Database) -> dict[str, tuple[int, int]]:
    async with database.transaction() as transaction:
        sections = await store.list_sections(transaction)
    return {
        section.key.section_id: (section.reserved, section.seat_sequence) for section in sections
    }


async def find(database: Database, event: EnrollmentEvent) -> Reservation | None:
    async with database.transaction() as transaction:
        return await store.find_reservation(transaction, event.enrollment_id)


@pytest.mark.parametrize("state", list(ReservationState))
async def test_a_saved_reservation_is_loaded_as_it_was(
    capacity_database: Database, state: ReservationState
) -> None:
    event = validated("A", "B")
    reservation = reservation_of(event, state)
    async with capacity_database.transaction() as transaction:
        loaded = await store.load(transaction, [event])
        loaded.reservations.put(event.enrollment_id, reservation)
        await store.save(transaction, loaded)

    async with capacity_database.transaction() as transaction:
        loaded = await store.load(transaction, [event])

    assert loaded.reservations.get(event.enrollment_id) == reservation
    assert await find(capacity_database, event) == reservation


async def test_a_mark_without_term_and_sections_is_loaded_as_it_was(
    capacity_database: Database,
) -> None:
    event = rejected(validated())

    await take(capacity_database, event)

    mark = await find(capacity_database, event)
    assert mark is not None
    assert (mark.state, mark.is_answered, mark.term, mark.sections) == (
        ReservationState.RELEASED,
        False,
        None,
        (),
    )


async def test_a_saved_section_is_loaded_as_it_was(capacity_database: Database) -> None:
    section = Section(
        key=SectionKey(TERM, SectionId("A")),
        version=2**63 - 1,
        capacity=2,
        state=SectionState.CLOSED,
        reserved=3,
        seat_sequence=2**62,
    )
    event = published("A")
    async with capacity_database.transaction() as transaction:
        loaded = await store.load(transaction, [event])
        loaded.sections.put(section.key, section)
        await store.save(transaction, loaded)

    async with capacity_database.transaction() as transaction:
        by_event = await store.load(transaction, [event])
        by_request = await store.load(transaction, [validated("A", "unknown")])

    assert by_event.sections.get(section.key) == section
    assert by_request.sections.get(section.key) == section
    assert by_request.sections.get(SectionKey(TERM, SectionId("unknown"))) is None


async def test_what_a_rival_decides_meanwhile_is_not_overwritten(
    capacity_database: Database,
) -> None:
    await take(capacity_database, published("A"))
    question = validated("A")

    async with capacity_database.transaction() as transaction:
        state = await store.load(transaction, [question])
        await take(capacity_database, rejected(question))
        REACTIONS[type(question)](state, question, Context(NOW, None))
        with pytest.raises(RivalRowError):
            await store.save(transaction, state)

    reservation = await find(capacity_database, question)
    assert reservation is not None
    assert reservation.state is ReservationState.RELEASED
    assert await reserved(capacity_database) == {"A": (0, 0)}


async def test_a_release_loads_the_sections_that_the_reservation_holds(
    capacity_database: Database,
) -> None:
    event = validated("A", "B")
    await take(capacity_database, published("A"), published("B"))
    await take(capacity_database, event)
    assert await reserved(capacity_database) == {"A": (1, 1), "B": (1, 1)}

    await take(capacity_database, rejected(event))

    assert await reserved(capacity_database) == {"A": (0, 2), "B": (0, 2)}


async def test_sections_are_listed_in_order_and_by_term(capacity_database: Database) -> None:
    other = published("B").model_copy(update={"term": Term("S")})
    await take(capacity_database, published("B"), other, published("A"))

    async with capacity_database.transaction() as transaction:
        everything = [section.key for section in await store.list_sections(transaction)]
        of_term = [section.key for section in await store.list_sections(transaction, TERM)]

    assert everything == [("S", "B"), ("T", "A"), ("T", "B")]
    assert of_term == [("T", "A"), ("T", "B")]


async def test_seats_are_counted_over_open_sections(capacity_database: Database) -> None:
    async with capacity_database.transaction() as transaction:
        nothing = await store.seats_in_total(transaction, NOW)
    closed = published("C", capacity=7).model_copy(update={"state": SectionState.CLOSED})
    await take(capacity_database, published("A", capacity=1), published("B", capacity=4), closed)
    await take(capacity_database, validated("A", "B"), validated("B"))

    async with capacity_database.transaction() as transaction:
        told = await store.seats_in_total(transaction, NOW)

    assert nothing == (0, 0, 0, 0)
    assert told == (2, 1, 5, 3)


async def test_a_section_that_was_withdrawn_is_kept_with_its_seats(
    capacity_database: Database,
) -> None:
    await take(capacity_database, published("A"))
    await take(capacity_database, validated("A"))

    await take(capacity_database, SectionWithdrawn(key=SectionKey(TERM, SectionId("A"))))

    async with capacity_database.transaction() as transaction:
        [section] = await store.list_sections(transaction)
    assert (section.state, section.reserved) == (SectionState.CANCELLED, 1)


async def test_batches_that_meet_in_the_middle_of_the_same_rows_do_not_deadlock(
    capacity_database: Database,
) -> None:
    names = [f"{number:02}" for number in range(21)]
    await take(capacity_database, *(published(name, capacity=100) for name in names))
    same = sorted((validated("00") for _ in range(21)), key=lambda event: event.enrollment_id)
    by_section = [validated(name) for name in names]

    async def hold_section(holder: Transaction) -> None:
        await holder.fetch("SELECT FROM section WHERE section_id = '10' FOR UPDATE")

    await meet_in_the_middle(
        capacity_database,
        lambda holder: react(holder, [same[10]]),
        lambda: take(capacity_database, *same),
        lambda: take(capacity_database, *reversed(same)),
    )
    await meet_in_the_middle(
        capacity_database,
        hold_section,
        lambda: take(capacity_database, *by_section),
        lambda: take(capacity_database, *(validated(name) for name in reversed(names))),
    )

    seats = await reserved(capacity_database)
    assert seats.pop("00")[0] == 23
    assert {count for count, _ in seats.values()} == {2}


async def test_overlapping_batches_in_opposite_orders_do_not_deadlock(
    capacity_database: Database,
) -> None:
    names = [f"{number:03}" for number in range(60)]
    await take(capacity_database, *(published(name, capacity=1000) for name in names))
    ids = [EnrollmentId(uuid4()) for _ in range(200)]
    forth: list[Event] = [
        validated(names[n % 60], names[(n * 7 + 1) % 60], enrollment_id=enrollment_id)
        for n, enrollment_id in enumerate(ids)
    ]
    forth += [published(name, version=2, capacity=1000) for name in names]

    for _ in range(5):
        async with asyncio.timeout(20):
            await asyncio.gather(
                take(capacity_database, *forth), take(capacity_database, *reversed(forth))
            )

    assert sum(count for count, _ in (await reserved(capacity_database)).values()) == 400


@pytest.mark.parametrize("first", ["answer", "release"])
async def test_an_answer_and_a_release_in_two_transactions_at_once_leave_no_orphan_seat(
    capacity_database: Database, first: str
) -> None:
    await take(capacity_database, published("A", capacity=10))
    question = validated("A")
    early, late = (
        (question, rejected(question)) if first == "answer" else (rejected(question), question)
    )

    async with capacity_database.transaction() as transaction:
        await react(transaction, [early])
        waiting = asyncio.create_task(take(capacity_database, late))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done, "the second did not wait for the first"
    await asyncio.wait_for(waiting, 10)

    reservation = await find(capacity_database, question)
    assert reservation is not None
    assert reservation.state is ReservationState.RELEASED
    assert (await reserved(capacity_database))["A"][0] == 0


async def test_the_last_seat_is_given_once_to_two_transactions_at_once(
    capacity_database: Database,
) -> None:
    await take(capacity_database, published("A", capacity=1))
    early, late = validated("A"), validated("A")

    async with capacity_database.transaction() as transaction:
        state = await store.load(transaction, [early])
        waiting = asyncio.create_task(take(capacity_database, late))
        await asyncio.wait([waiting], timeout=0.2)
        REACTIONS[type(early)](state, early, Context(NOW, None))
        await store.save(transaction, state)
    await asyncio.wait_for(waiting, 10)

    found = [await find(capacity_database, question) for question in (early, late)]
    states = [one.state.value for one in found if one is not None]
    assert states == ["reserved", "refused"]
    assert await reserved(capacity_database) == {"A": (1, 1)}


async def test_the_tables_are_those_that_the_migrations_make(capacity_database: Database) -> None:
    assert await schema_differences(capacity_database, store.METADATA) == []


async def test_an_old_publication_beside_the_first_one_neither_wins_nor_loses_a_seat(
    capacity_database: Database,
) -> None:
    async with capacity_database.transaction() as transaction:
        await react(transaction, [published("A", version=2), validated("A")])
        late = asyncio.create_task(take(capacity_database, published("A", version=1)))
        done, _ = await asyncio.wait([late], timeout=0.3)
        assert not done  # it waits for the row

    await asyncio.wait_for(late, 10)

    assert await reserved(capacity_database) == {"A": (1, 1)}
    async with capacity_database.transaction() as transaction:
        [section] = await store.list_sections(transaction)
    assert section.version == 2


async def test_a_section_whose_publication_failed_is_unknown(capacity_database: Database) -> None:
    async with capacity_database.transaction() as transaction:
        await store.load(transaction, [published("A")])  # and nothing is decided

    request = validated("A")
    await take(capacity_database, request)

    reservation = await find(capacity_database, request)
    assert reservation is not None
    assert reservation.state is ReservationState.REFUSED
    assert await reserved(capacity_database) == {}
