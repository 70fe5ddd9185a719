"""The store of enrollment, on a real database."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from services.enrollment import store
from services.enrollment.model import (
    Conflict,
    ConflictKind,
    DeadlinePolicy,
    Enrollment,
    EnrollmentState,
    State,
)
from shared.database import Database, Transaction
from shared.errors import RivalRowError
from shared.events import (
    EnrollmentRequested,
    Event,
    Reason,
    ReasonCode,
    Stage,
)
from shared.identifiers import EnrollmentId, SectionId, StudentId, Term
from shared.tests.machinery import (
    again_if_rivalled,
    meet_in_the_middle,
    rows_of,
    schema_differences,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = DeadlinePolicy(30, 60)


def requested(enrollment_id: EnrollmentId | None = None) -> EnrollmentRequested:
    return EnrollmentRequested(
        enrollment_id=enrollment_id or EnrollmentId(uuid4()),
        student_id=StudentId("S1"),
        term=Term("T"),
        sections=(SectionId("A"), SectionId("B")),
    )


def pending(deadline_seconds: float = 30) -> Enrollment:
    event = requested()
    return Enrollment(
        enrollment_id=event.enrollment_id,
        state=EnrollmentState.PENDING,
        student_id=event.student_id,
        term=event.term,
        sections=event.sections,
        opened_at=NOW,
        deadline_at=NOW + timedelta(seconds=deadline_seconds),
    )


def full(state: EnrollmentState) -> Enrollment:
    """Make an enrollment with a value in every field."""
    return replace(
        pending(),
        state=state,
        body_sha256=bytes(range(32)),
        decided_at=NOW,
        stage=Stage.CAPACITY,
        reasons=(
            Reason(code=ReasonCode.SECTION_FULL, section_id=SectionId("A"), detail="é; '{\"}"),
            Reason(code=ReasonCode.DEADLINE, detail="late"),
        ),
        cancelled_by=(StudentId("S1"), StudentId("S2")),
        requested_at=NOW - timedelta(seconds=1),
        cancel_reason="changed, my mind",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )


async def load(database: Database, *events: Event) -> State:
    async with database.transaction() as transaction:
        return await store.load(transaction, events, POLICY)


async def put(database: Database, *enrollments: Enrollment) -> None:
    await again_if_rivalled(lambda: _put_once(database, *enrollments))


async def _put_once(database: Database, *enrollments: Enrollment) -> None:
    async with database.transaction() as transaction:
        await _write(transaction, *enrollments)


async def _write(transaction: Transaction, *enrollments: Enrollment) -> None:
    events = [requested(enrollment.enrollment_id) for enrollment in enrollments]
    state = await store.load(transaction, events, POLICY)
    for enrollment in enrollments:
        state.enrollments.put(enrollment.enrollment_id, enrollment)
    await store.save(transaction, state)


async def find(database: Database, enrollment_id: EnrollmentId) -> Enrollment | None:
    async with database.transaction() as transaction:
        return await store.find_enrollment(transaction, enrollment_id)


@pytest.mark.parametrize("state", list(EnrollmentState))
async def test_a_saved_enrollment_is_loaded_as_it_was(
    enrollment_database: Database, state: EnrollmentState
) -> None:
    enrollment = full(state)

    await put(enrollment_database, enrollment)

    loaded = await load(enrollment_database, requested(enrollment.enrollment_id))
    assert loaded.enrollments.get(enrollment.enrollment_id) == enrollment
    assert await find(enrollment_database, enrollment.enrollment_id) == enrollment


async def test_an_enrollment_without_optional_values_is_loaded_as_it_was(
    enrollment_database: Database,
) -> None:
    bare = Enrollment(EnrollmentId(uuid4()), EnrollmentState.UNOPENED, StudentId("S1"))

    await put(enrollment_database, bare)

    assert await find(enrollment_database, bare.enrollment_id) == bare


async def test_conflicts_are_kept_once_each_and_listed_oldest_first(
    enrollment_database: Database,
) -> None:
    event = requested()
    kinds = list(ConflictKind)
    conflicts = [
        Conflict(event.enrollment_id, StudentId("S2"), kind, b"hash", NOW + timedelta(seconds=n))
        for n, kind in enumerate(kinds)
    ]
    again = replace(conflicts[0], received_at=NOW + timedelta(days=1))
    for batch in (conflicts[::-1], [again]):
        async with enrollment_database.transaction() as transaction:
            state = await store.load(transaction, [event], POLICY)
            state.conflicts.extend(batch)
            await store.save(transaction, state)

    async with enrollment_database.transaction() as transaction:
        found = await store.find_conflicts(transaction, event.enrollment_id)

    assert found == conflicts


async def test_what_a_rival_decides_meanwhile_is_not_overwritten(
    enrollment_database: Database,
) -> None:
    enrollment = pending()
    cancelled = replace(full(EnrollmentState.UNOPENED), enrollment_id=enrollment.enrollment_id)

    async with enrollment_database.transaction() as transaction:
        event = requested(enrollment.enrollment_id)
        state = await store.load(transaction, [event], POLICY)
        await put(enrollment_database, cancelled)
        state.enrollments.put(enrollment.enrollment_id, enrollment)
        with pytest.raises(RivalRowError):
            await store.save(transaction, state)

    assert await find(enrollment_database, enrollment.enrollment_id) == cancelled


async def test_a_second_transaction_waits_for_the_first_and_sees_what_it_decided(
    enrollment_database: Database,
) -> None:
    enrollment = pending()
    event = requested(enrollment.enrollment_id)
    await put(enrollment_database, enrollment)
    confirmed = replace(enrollment, state=EnrollmentState.CONFIRMED)

    async with enrollment_database.transaction() as transaction:
        state = await store.load(transaction, [event], POLICY)
        waiting = asyncio.create_task(load(enrollment_database, event))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done, "the second did not wait for the first"
        state.enrollments.put(enrollment.enrollment_id, confirmed)
        await store.save(transaction, state)
    seen = await asyncio.wait_for(waiting, 10)

    assert seen.enrollments.get(enrollment.enrollment_id) == confirmed


async def test_batches_that_meet_in_the_middle_of_the_same_rows_do_not_deadlock(
    enrollment_database: Database,
) -> None:
    same = sorted((pending() for _ in range(21)), key=lambda one: one.enrollment_id)

    for _ in range(2):  # rows that are made, and rows that are there
        await meet_in_the_middle(
            enrollment_database,
            lambda holder: _write(holder, same[10]),
            lambda: put(enrollment_database, *same),
            lambda: put(enrollment_database, *reversed(same)),
        )

    rows = await rows_of(enrollment_database, "SELECT count(*) FROM enrollment")
    assert rows == [(21,)]


async def test_overlapping_batches_in_opposite_orders_do_not_deadlock(
    enrollment_database: Database,
) -> None:
    old = [pending() for _ in range(200)]
    await put(enrollment_database, *old)
    both = [*old, *(pending() for _ in range(200))]

    for _ in range(5):
        async with asyncio.timeout(20):
            await asyncio.gather(
                put(enrollment_database, *both), put(enrollment_database, *reversed(both))
            )

    rows = await rows_of(enrollment_database, "SELECT count(*) FROM enrollment")
    assert rows == [(400,)]


async def test_overdue_enrollments_are_loaded_oldest_first_up_to_a_limit(
    enrollment_database: Database,
) -> None:
    late = [pending(seconds) for seconds in (-3, -1, -2)]
    ended = replace(full(EnrollmentState.CONFIRMED), deadline_at=NOW - timedelta(seconds=9))
    await put(enrollment_database, pending(0), pending(0.001), ended, *late)

    async with enrollment_database.transaction() as transaction:
        some = await store.load_overdue(transaction, NOW, 2, POLICY)
        everything = await store.load_overdue(transaction, NOW, 10, POLICY)

    assert list(some.enrollments.all()) == [late[0], late[2]]
    assert len(list(everything.enrollments.all())) == 4


async def test_overdue_enrollments_that_are_being_decided_are_left_alone(
    enrollment_database: Database,
) -> None:
    busy, free = pending(-2), pending(-1)
    await put(enrollment_database, busy, free)

    async with enrollment_database.transaction() as transaction:
        await store.load(transaction, [requested(busy.enrollment_id)], POLICY)
        async with asyncio.timeout(5), enrollment_database.transaction() as timer:
            state = await store.load_overdue(timer, NOW, 10, POLICY)

    assert list(state.enrollments.all()) == [free]


async def test_pending_enrollments_are_counted_up_to_a_limit(
    enrollment_database: Database,
) -> None:
    await put(enrollment_database, full(EnrollmentState.REJECTED), *(pending() for _ in range(5)))

    async with enrollment_database.transaction() as transaction:
        counted = [await store.count_pending(transaction, limit) for limit in (3, 5, 100)]

    assert counted == [3, 5, 5]


async def test_pending_enrollments_are_told_with_their_ages(enrollment_database: Database) -> None:
    ages = (2, 9, 11, 25)
    waiting = [replace(pending(), opened_at=NOW - timedelta(seconds=age)) for age in ages]
    old_and_over = replace(full(EnrollmentState.REJECTED), opened_at=NOW - timedelta(days=1))
    async with enrollment_database.transaction() as transaction:
        nothing = await store.pending_ages(transaction, NOW)
    await put(enrollment_database, old_and_over, *waiting)

    async with enrollment_database.transaction() as transaction:
        told = await store.pending_ages(transaction, NOW)

    assert nothing == (0, 0, 0)
    assert told == (4, 2, 25)


async def test_cancels_are_forgotten_once_their_request_cannot_come_any_more(
    enrollment_database: Database,
) -> None:
    day = timedelta(days=1)
    old, recent, opened = (
        replace(full(EnrollmentState.UNOPENED), decided_at=NOW - day),
        replace(full(EnrollmentState.UNOPENED), decided_at=NOW),
        replace(full(EnrollmentState.CANCELLED), decided_at=NOW - day),
    )
    await put(enrollment_database, old, recent, opened)

    async with enrollment_database.transaction() as transaction:
        await store.forget_early_cancels(transaction, NOW)

    assert await find(enrollment_database, old.enrollment_id) is None
    assert await find(enrollment_database, recent.enrollment_id) == recent
    assert await find(enrollment_database, opened.enrollment_id) == opened


async def test_the_tables_are_those_that_the_migrations_make(
    enrollment_database: Database,
) -> None:
    assert await schema_differences(enrollment_database, store.METADATA) == []
