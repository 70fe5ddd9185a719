"""The store of the view, on a real database."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.enrollment.ingress.settings import IngressSettings
from services.enrollment.ingress.tests.view_making import (
    HAPPY,
    ID,
    LATE,
    NOW,
    STORIES,
    TERM,
    A,
    arrival_of,
    at,
    cancelled,
    hear,
    published,
    requested,
    seat_reserved,
    seen,
    timed,
)
from services.enrollment.ingress.view import parts as view_parts_module
from services.enrollment.ingress.view import store
from services.enrollment.ingress.view.handlers import REACTIONS
from services.enrollment.ingress.view.model import State, Status, ViewedEnrollment, ViewedSection
from services.enrollment.ingress.view.parts import pruning, view_parts
from services.enrollment.ingress.view.rows import LETTERS, METADATA
from shared.choreography import VIEWED
from shared.database import Database, Transaction
from shared.errors import RivalRowError
from shared.events import Event, SectionPublished, SectionWithdrawn
from shared.identifiers import EnrollmentId, SectionKey, new_event_id
from shared.message import Arrival
from shared.parts import Resources
from shared.reaction import Batch, react
from shared.tests.machinery import (
    again_if_rivalled,
    eventually,
    meet_in_the_middle,
    rows_of,
    schema_differences,
    value_of,
    waiting_for_locks,
)
from shared.unit import units

KEY = SectionKey(TERM, A)


async def project(database: Database, arrivals: Sequence[Arrival]) -> None:
    """Let the view hear of a batch, as the worker does."""
    open_unit = units(database, store.load, store.save, new_event_id)

    async def once() -> None:
        async with open_unit() as unit:
            folded = await react(
                unit,
                Batch(arrivals, (), {}),
                REACTIONS,
                LATE,
                uses_inbox=lambda _: False,
            )
            assert folded.parked == []

    await again_if_rivalled(once)


async def load(database: Database, *events: Event) -> State:
    async with database.transaction() as transaction:
        return await store.load(transaction, events)


async def put(database: Database, *enrollments: ViewedEnrollment) -> None:
    async def once() -> None:
        async with database.transaction() as transaction:
            await write(transaction, *enrollments)

    await again_if_rivalled(once)


async def write(transaction: Transaction, *enrollments: ViewedEnrollment) -> None:
    events = [requested(id_=one.enrollment_id) for one in enrollments]
    state = await store.load(transaction, events)
    for one in enrollments:
        state.enrollments.put(one.enrollment_id, one)
    await store.save(transaction, state)


async def find(database: Database, enrollment_id: EnrollmentId = ID) -> ViewedEnrollment | None:
    state = await load(database, requested(id_=enrollment_id))
    return state.enrollments.get(enrollment_id)


async def totals_of(database: Database) -> dict[Status, int]:
    rows = await rows_of(
        database, "SELECT pending, confirmed, rejected, cancelled FROM viewed_total"
    )
    return dict(zip(Status, map(int, map(str, rows[0])), strict=True))


def another() -> ViewedEnrollment:
    return replace(seen(*HAPPY), enrollment_id=EnrollmentId(uuid4()))


@pytest.mark.parametrize("story", STORIES)
async def test_what_was_heard_in_one_batch_is_read_as_it_was(
    ingress_database: Database, story: str
) -> None:
    await project(ingress_database, timed(STORIES[story]))

    assert await find(ingress_database) == seen(*STORIES[story])


@pytest.mark.parametrize("story", STORIES)
async def test_what_was_heard_one_by_one_is_read_as_it_was(
    ingress_database: Database, story: str
) -> None:
    for arrival in timed(STORIES[story]):
        await project(ingress_database, [arrival])

    expected = seen(*STORIES[story])
    assert await find(ingress_database) == expected
    assert (await totals_of(ingress_database))[expected.status] == 1
    assert sum((await totals_of(ingress_database)).values()) == 1


async def test_a_row_without_happenings_is_read_so(ingress_database: Database) -> None:
    silent, pruned = replace(another(), happenings=()), replace(another(), happenings=None)

    await put(ingress_database, silent, pruned)

    assert await find(ingress_database, silent.enrollment_id) == silent
    assert await find(ingress_database, pruned.enrollment_id) == pruned


def test_every_event_that_is_heard_of_an_enrollment_has_its_letter() -> None:
    silent = {"SectionPublished", "EnrollmentCancellationRequested"}
    heard = {event.__name__ for event in VIEWED} - silent

    assert set(LETTERS) == heard
    assert len(set(LETTERS.values())) == len(LETTERS)


async def test_sections_and_their_seats_are_read_as_they_were(ingress_database: Database) -> None:
    early = [arrival_of(seat_reserved(reserved=4), at(0))]
    await project(ingress_database, early)
    before = (await load(ingress_database, published())).sections.get(KEY)

    await project(ingress_database, [arrival_of(published(version=2**62), at(1))])
    after = (await load(ingress_database, seat_reserved())).sections.get(KEY)
    await project(ingress_database, [arrival_of(SectionWithdrawn(key=KEY), at(2))])
    gone = (await load(ingress_database, SectionWithdrawn(key=KEY))).sections.get(KEY)

    assert before == ViewedSection(TERM, A, reserved=4, seat_sequence=1)
    assert after is not None
    assert after == replace(
        before,
        course_id=published().course_id,
        state=published(version=2).state,
        credits=3,
        capacity=9,
        version=2**62,
    )
    assert gone == replace(after, state=gone.state if gone else after.state)
    assert gone is not None
    assert gone.state.value == "cancelled"


async def test_nothing_changes_in_a_batch_of_repeats(ingress_database: Database) -> None:
    await project(ingress_database, timed(HAPPY))
    sql = "SELECT enrollment_id, xmin::text FROM viewed_enrollment"
    before = await rows_of(ingress_database, sql)

    await project(ingress_database, timed(HAPPY))

    assert await rows_of(ingress_database, sql) == before
    assert (await totals_of(ingress_database))[Status.CONFIRMED] == 1


async def test_the_totals_equal_a_recount_after_concurrent_batches(
    ingress_database: Database,
) -> None:
    batches = []
    for story in [*STORIES.values()] * 3:
        ids = {"enrollment_id": EnrollmentId(uuid4())}
        arrivals = timed([event.model_copy(update=ids) for event in story])
        batches.extend([arrivals[::2], arrivals[1::2]])

    await asyncio.gather(*(project(ingress_database, batch) for batch in batches))

    rows = await rows_of(
        ingress_database, "SELECT status, count(*) FROM viewed_enrollment GROUP BY status"
    )
    recount = {Status(str(status)): int(str(count)) for status, count in rows}
    assert await totals_of(ingress_database) == dict.fromkeys(Status, 0) | recount


async def test_what_a_rival_makes_meanwhile_is_not_overwritten(ingress_database: Database) -> None:
    rivals = replace(seen(*HAPPY), term=None)

    async with ingress_database.transaction() as transaction:
        state = await store.load(transaction, [requested()])
        await put(ingress_database, rivals)
        hear(state, timed([requested()]))
        with pytest.raises(RivalRowError):
            await store.save(transaction, state)

    assert await find(ingress_database) == rivals


async def test_a_section_that_a_rival_makes_meanwhile_is_not_overwritten(
    ingress_database: Database,
) -> None:
    async with ingress_database.transaction() as transaction:
        state = await store.load(transaction, [published(1)])
        await project(ingress_database, [arrival_of(published(5), at(0))])
        hear(state, [arrival_of(published(1), at(0))])
        with pytest.raises(RivalRowError):
            await store.save(transaction, state)

    section = (await load(ingress_database, published())).sections.get(KEY)
    assert section is not None
    assert section.version == 5


async def test_a_second_transaction_waits_for_the_first_and_sees_what_it_wrote(
    ingress_database: Database,
) -> None:
    await project(ingress_database, timed(HAPPY[:3]))

    async with ingress_database.transaction() as transaction:
        state = await store.load(transaction, [requested()])
        waiting = asyncio.create_task(find(ingress_database))
        await eventually(lambda: _one_waits(ingress_database))
        hear(state, timed(HAPPY))
        await store.save(transaction, state)

    shown = await asyncio.wait_for(waiting, 10)
    assert shown is not None
    assert shown.status is Status.CONFIRMED


async def _one_waits(database: Database) -> bool:
    return await waiting_for_locks(database) == 1


async def test_batches_that_meet_in_the_middle_of_the_same_rows_do_not_deadlock(
    ingress_database: Database,
) -> None:
    same = sorted((another() for _ in range(21)), key=lambda one: one.enrollment_id)

    for _ in range(2):  # rows that are made, and rows that are there
        await meet_in_the_middle(
            ingress_database,
            lambda holder: write(holder, same[10]),
            lambda: put(ingress_database, *same),
            lambda: put(ingress_database, *reversed(same)),
        )

    assert await value_of(ingress_database, "SELECT count(*) FROM viewed_enrollment") == 21


async def test_batches_over_the_same_sections_in_opposite_orders_do_not_deadlock(
    ingress_database: Database,
) -> None:
    def sections(version: int) -> list[Arrival]:
        names = [f"X{number}" for number in range(60)]
        events: list[SectionPublished] = [
            published(version, section=type(A)(name)) for name in names
        ]
        return [arrival_of(event, at(0)) for event in events]

    for version in range(1, 7, 2):
        async with asyncio.timeout(20):
            await asyncio.gather(
                project(ingress_database, sections(version)),
                project(ingress_database, sections(version + 1)[::-1]),
            )

    rows = await rows_of(ingress_database, "SELECT DISTINCT version FROM viewed_section")
    assert rows == [(6,)]


# Pruning.


async def test_the_steps_of_what_was_settled_long_ago_are_forgotten_and_no_others(
    ingress_database: Database,
) -> None:
    old, recent = another(), replace(another(), settled_at=at(60))
    running = replace(seen(*STORIES["full"][:5]), enrollment_id=EnrollmentId(uuid4()))
    await put(ingress_database, old, recent, running)

    async with ingress_database.transaction() as transaction:
        pruned = await store.prune(transaction, at(50), 10)

    assert pruned == 1
    assert await find(ingress_database, old.enrollment_id) == replace(old, happenings=None)
    assert await find(ingress_database, recent.enrollment_id) == recent
    assert await find(ingress_database, running.enrollment_id) == running


async def test_pruning_goes_in_pieces_oldest_first_and_leaves_what_is_at_work(
    ingress_database: Database,
) -> None:
    old = [replace(another(), settled_at=at(second)) for second in range(4)]
    await put(ingress_database, *old)

    async with ingress_database.transaction() as batch:
        await store.load(batch, [requested(id_=old[0].enrollment_id)])
        async with asyncio.timeout(5), ingress_database.transaction() as transaction:
            pruned = await store.prune(transaction, LATE, 2)

    assert pruned == 2
    kept = [await find(ingress_database, one.enrollment_id) for one in old]
    assert [one.happenings is None for one in kept if one] == [False, True, True, False]


class Given:
    """What a timer is given here: the database, and the time."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = lambda: NOW + timedelta(days=30, seconds=100)


async def test_the_timer_prunes_piece_after_piece(
    ingress_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_parts_module, "PRUNED_AT_ONCE", 3)
    monkeypatch.setattr(view_parts_module, "PIECES_MAX", 2)
    await put(ingress_database, *(another() for _ in range(8)), replace(another(), settled_at=LATE))
    given: Any = Given(ingress_database)
    resources: Resources = given
    left = "SELECT count(*) FROM viewed_enrollment WHERE happenings IS NOT NULL"

    counts = []
    for _ in range(3):
        await pruning(30)(resources)
        counts.append(await value_of(ingress_database, left))

    assert counts == [3, 1, 1]


async def test_a_cancellation_of_a_pruned_enrollment_is_kept(ingress_database: Database) -> None:
    await put(ingress_database, replace(seen(*HAPPY), happenings=None))

    await project(ingress_database, [arrival_of(cancelled("confirmed"), at(100))])

    shown = await find(ingress_database)
    assert shown is not None
    assert (shown.status, shown.settled_at) == (Status.CANCELLED, None)


def test_the_parts_read_what_the_view_is_kept_from() -> None:
    settings = IngressSettings(
        database_url="postgresql://x/y", kafka_bootstrap_servers="z", insecure_dev=True
    )

    parts = view_parts(settings)

    assert [topic.name for topic in parts.topics] == [
        "enrollment.requests",
        "enrollment.events",
        "student.events",
        "capacity.events",
        "section.catalog",
    ]
    assert not any(parts.uses_inbox(topic.name) for topic in parts.topics)
    assert parts.patient < set(VIEWED)


async def test_the_tables_are_those_that_the_migrations_make(ingress_database: Database) -> None:
    assert await schema_differences(ingress_database, METADATA) == []
