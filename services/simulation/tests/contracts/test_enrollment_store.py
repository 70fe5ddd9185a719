"""Enrollment's store: shown on the real PostgreSQL and on the simulated one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.enrollment.model import (
    Conflict,
    ConflictKind,
    Enrollment,
    EnrollmentState,
    State,
)
from services.simulation.tests.contracts.making import NOW, TERM, TRACEPARENT, new_id, requested
from services.simulation.tests.contracts.postgres import Postgres, Session
from shared.errors import RivalRowError
from shared.events import EnrollmentRequested, Reason, ReasonCode, Stage
from shared.identifiers import EnrollmentId, SectionId, StudentId

FULL = Enrollment(
    enrollment_id=new_id(),
    state=EnrollmentState.REJECTED,
    student_id=StudentId("S1"),
    term=TERM,
    sections=(SectionId("B"), SectionId("A")),
    body_sha256=bytes(range(32)),
    opened_at=NOW,
    deadline_at=NOW + timedelta(microseconds=1),
    decided_at=NOW + timedelta(days=1),
    stage=Stage.CAPACITY,
    reasons=(
        Reason(
            code=ReasonCode.SECTION_FULL, section_id=SectionId("A"), detail="full", detail_es="ñ"
        ),
        Reason(code="some_new_code", detail="\u2028'\"\\"),
    ),
    cancelled_by=(StudentId("S2"), StudentId("S1")),
    cancel_reason="no time, sorry",
    traceparent=TRACEPARENT,
)
BARE = Enrollment(new_id(), EnrollmentState.UNOPENED, StudentId("S1"))


def pending(seconds: float | None = 0.0) -> Enrollment:
    """Make an enrollment whose deadline is so many seconds from now, or that has none."""
    deadline = None if seconds is None else NOW + timedelta(seconds=seconds)
    return replace(
        BARE, enrollment_id=new_id(), state=EnrollmentState.PENDING, deadline_at=deadline
    )


def early(seconds: float) -> Enrollment:
    """Make a cancel without a request that came so many seconds from now."""
    return replace(BARE, enrollment_id=new_id(), decided_at=NOW + timedelta(seconds=seconds))


def asks(row: Enrollment) -> EnrollmentRequested:
    return requested(row.enrollment_id)


async def put(postgres: Postgres, *rows: Enrollment) -> None:
    session = await postgres.begin()
    await save(session, *rows)
    await session.commit()


async def save(session: Session, *rows: Enrollment) -> None:
    state = await session.load(*map(asks, rows))
    for row in rows:
        state.enrollments.put(row.enrollment_id, row)
    await session.do(session.unit.save(state))


async def keep(postgres: Postgres, *conflicts: Conflict) -> None:
    session = await postgres.begin()
    state = await session.load()
    state.conflicts.extend(conflicts)
    await session.do(session.unit.save(state))
    await session.commit()


async def forget(postgres: Postgres) -> None:
    session = await postgres.begin()
    await postgres.forget_early_cancels(session, NOW)
    await session.commit()


async def overdue(session: Session, now: datetime = NOW, limit: int = 100) -> list[EnrollmentId]:
    return found(await session.do(session.unit.load_overdue(now, limit)))


def found(state: State) -> list[EnrollmentId]:
    return [one.enrollment_id for one in state.enrollments.all()]


def ids_of(rows: Sequence[Enrollment]) -> list[EnrollmentId]:
    return [one.enrollment_id for one in rows]


async def row_of(postgres: Postgres, row: Enrollment) -> Enrollment | None:
    state: State = await postgres.load(asks(row))
    return state.enrollments.get(row.enrollment_id)


# Rows


@pytest.mark.parametrize("row", [FULL, BARE])
async def test_a_row_is_read_as_it_was_saved(enrollment: Postgres, row: Enrollment) -> None:
    await put(enrollment, row)

    assert await row_of(enrollment, row) == row


@pytest.mark.parametrize("state", EnrollmentState)
async def test_every_state_is_kept(enrollment: Postgres, state: EnrollmentState) -> None:
    await put(enrollment, replace(FULL, state=state))

    assert await row_of(enrollment, FULL) == replace(FULL, state=state)


async def test_every_field_is_changed(enrollment: Postgres) -> None:
    changed = replace(BARE, enrollment_id=FULL.enrollment_id)
    await put(enrollment, FULL)

    await put(enrollment, changed)

    assert await row_of(enrollment, FULL) == changed


async def test_only_what_was_asked_for_is_loaded(enrollment: Postgres) -> None:
    rows = [pending() for _ in range(3)]
    await put(enrollment, *rows)

    state = await enrollment.load(asks(rows[2]), asks(rows[0]), asks(rows[0]), asks(pending()))

    assert set(found(state)) == {rows[0].enrollment_id, rows[2].enrollment_id}


async def test_who_took_a_row_for_missing_is_refused_with_all_its_rows(
    enrollment: Postgres,
) -> None:
    row, other = pending(), pending()
    session = await enrollment.begin()
    state = await session.load(asks(row), asks(other))
    await put(enrollment, row)

    for one in (other, replace(row, state=EnrollmentState.CONFIRMED)):
        state.enrollments.put(one.enrollment_id, one)
    with pytest.raises(RivalRowError):
        await session.do(session.unit.save(state))
    await session.roll_back()

    assert await row_of(enrollment, row) == row
    assert await row_of(enrollment, other) is None


# Deadlines


async def test_what_is_overdue_comes_with_the_oldest_deadline_first(enrollment: Postgres) -> None:
    late, later, latest = [pending(-seconds) for seconds in (0, 1, 2)]
    await put(enrollment, late, latest, later, pending(1e-6), pending(None), FULL)
    session = await enrollment.begin()

    assert await overdue(session) == ids_of([latest, later, late])
    assert await overdue(session, limit=2) == ids_of([latest, later])
    assert await overdue(session, NOW - timedelta(seconds=3)) == []


async def test_what_is_at_work_elsewhere_is_left_out_and_does_not_count(
    enrollment: Postgres,
) -> None:
    rows = [pending(-seconds) for seconds in (5, 4, 3, 2)]
    await put(enrollment, *rows)
    holder, clock, other_clock = [await enrollment.begin() for _ in range(3)]
    await holder.load(asks(rows[0]))
    await save(holder, replace(rows[2], state=EnrollmentState.CONFIRMED))

    assert await overdue(clock, limit=1) == ids_of([rows[1]])
    assert await overdue(other_clock) == ids_of([rows[3]])
    assert await overdue(clock, limit=1) == ids_of([rows[1]])


async def test_what_is_overdue_is_locked(enrollment: Postgres) -> None:
    row = pending()
    await put(enrollment, row)
    clock, session = await enrollment.begin(), await enrollment.begin()
    await overdue(clock)

    waiting = await session.start(session.unit.load([asks(row)]))
    assert waiting.is_waiting
    await save(clock, replace(row, state=EnrollmentState.REJECTED))
    await clock.commit()

    [seen] = (await waiting.result()).enrollments.all()
    assert seen.state is EnrollmentState.REJECTED


async def test_what_was_decided_or_is_not_committed_is_not_overdue(enrollment: Postgres) -> None:
    row = pending()
    await put(enrollment, row)
    await put(enrollment, replace(row, state=EnrollmentState.CONFIRMED))
    maker, clock = await enrollment.begin(), await enrollment.begin()
    await save(maker, pending())

    assert await overdue(clock) == []


async def test_to_ask_whether_anything_is_overdue_is_to_look_for_the_first(
    enrollment: Postgres,
) -> None:
    rows = [pending(5), pending(7), pending(None), replace(FULL, deadline_at=NOW)]
    await put(enrollment, *rows)

    asked = [await enrollment.has_overdue(NOW + timedelta(seconds=s)) for s in (4.9, 5, 6)]
    await put(enrollment, replace(rows[0], state=EnrollmentState.CANCELLED))
    asked += [await enrollment.has_overdue(NOW + timedelta(seconds=s)) for s in (6, 7)]

    assert asked == [False, True, True, False, True]


async def test_pending_ones_are_counted_as_they_are_committed(enrollment: Postgres) -> None:
    rows = [pending(5), pending(-5), pending(None)]
    counts = [await enrollment.count_pending()]
    await put(enrollment, *rows, BARE, FULL)
    counts.append(await enrollment.count_pending())
    session = await enrollment.begin()
    await save(session, replace(rows[0], state=EnrollmentState.CONFIRMED), pending())
    counts.append(await enrollment.count_pending())
    await save(session, replace(rows[1], state=EnrollmentState.REJECTED))
    await session.commit()
    counts.append(await enrollment.count_pending())

    assert counts == [0, 3, 3, 2]


# Cancels whose request has not come


async def test_old_early_cancels_are_forgotten_and_nothing_else(enrollment: Postgres) -> None:
    old, exact, late = early(-1), early(0), early(1)
    other = replace(pending(), decided_at=NOW - timedelta(seconds=1))
    await put(enrollment, old, exact, late, other)

    await forget(enrollment)

    state = await enrollment.load(*map(asks, (old, exact, late, other)))
    assert set(found(state)) == set(ids_of([exact, late, other]))


async def test_an_early_cancel_at_work_elsewhere_is_not_forgotten(enrollment: Postgres) -> None:
    first, second = early(-1), early(-1)
    await put(enrollment, first, second)
    session = await enrollment.begin()
    await save(session, replace(first, state=EnrollmentState.CANCELLED))

    await forget(enrollment)
    await session.commit()

    state = await enrollment.load(asks(first), asks(second))
    assert found(state) == ids_of([first])


async def test_what_was_forgotten_can_be_made_anew(enrollment: Postgres) -> None:
    row = early(-1)
    await put(enrollment, row)
    await forget(enrollment)

    await put(enrollment, replace(row, state=EnrollmentState.PENDING, deadline_at=NOW))

    session = await enrollment.begin()
    assert await overdue(session) == ids_of([row])


async def test_whoever_waits_for_what_is_being_forgotten_finds_nothing_and_locks_nothing(
    enrollment: Postgres,
) -> None:
    row = early(-1)
    await put(enrollment, row)
    cleaner, waiter, maker = [await enrollment.begin() for _ in range(3)]
    await enrollment.forget_early_cancels(cleaner, NOW)
    waiting = await waiter.start(waiter.unit.load([asks(row)]))
    assert waiting.is_waiting
    await cleaner.commit()

    assert found(await waiting.result()) == []
    state = await maker.load(asks(row))
    state.enrollments.put(row.enrollment_id, row)
    making = await maker.start(maker.unit.save(state))
    assert not making.is_waiting


# Conflicts


async def test_a_conflict_is_kept_once_and_as_it_first_came(enrollment: Postgres) -> None:
    first = Conflict(new_id(), StudentId("S2"), ConflictKind.FOREIGN_CANCEL, bytes(range(32)), NOW)
    later = replace(first, received_at=NOW + timedelta(seconds=1))
    another = replace(later, kind=ConflictKind.FOREIGN_REQUEST)
    await keep(enrollment, first, later)

    await keep(enrollment, later, another, replace(first, enrollment_id=new_id()))

    assert await enrollment.conflicts(first.enrollment_id) == [first, another]
