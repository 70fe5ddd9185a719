"""Enrollment's store on the simulated database."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from services.enrollment.model import Conflict, DeadlinePolicy, Enrollment, EnrollmentState, State
from services.simulation.database import MemoryDatabase
from services.simulation.stores import enrollment_rows
from services.simulation.transaction import MemoryTransaction
from shared.events import Event
from shared.reaction import Rows, enrollments_of

TABLE = "enrollment"


def index(row: Enrollment) -> EnrollmentState | None:
    """Find the pending ones quickly, and cancels whose request has not come."""
    is_found = row.state is EnrollmentState.PENDING or row.state is EnrollmentState.UNOPENED
    return row.state if is_found else None


async def load(
    transaction: MemoryTransaction, events: Sequence[Event], policy: DeadlinePolicy
) -> State:
    """Lock the enrollments of these events, sorted."""
    found = await enrollment_rows.lock(transaction, TABLE, enrollments_of(events))
    return State(Rows(found), policy)


async def load_overdue(
    transaction: MemoryTransaction, now: datetime, limit: int, policy: DeadlinePolicy
) -> State:
    """Lock pending enrollments whose deadline has passed, leaving those that are being decided."""
    pending = await transaction.read_indexed(TABLE, [EnrollmentState.PENDING])
    overdue = [one for one in pending.values() if _is_overdue(one, now)]
    overdue.sort(key=lambda one: (one.deadline_at, one.enrollment_id.int))
    if not overdue:
        return State(Rows({}), policy)
    ids = [one.enrollment_id for one in overdue]
    locked = await transaction.lock_free(TABLE, ids, partial(_is_overdue, now=now), limit)
    return State(Rows(locked), policy)


def _is_overdue(row: Enrollment, now: datetime) -> bool:
    is_pending = row.state is EnrollmentState.PENDING
    return is_pending and row.deadline_at is not None and row.deadline_at <= now


def has_overdue(database: MemoryDatabase, now: datetime) -> bool:
    """Tell whether the deadline of any pending enrollment has passed."""
    pending = database.indexed(TABLE, EnrollmentState.PENDING).values()
    return any(_is_overdue(one, now) for one in pending)


def count_pending(database: MemoryDatabase) -> int:
    """Count the pending enrollments."""
    return len(database.indexed(TABLE, EnrollmentState.PENDING))


async def save(transaction: MemoryTransaction, state: State) -> None:
    """Write what the batch changed."""
    await enrollment_rows.save(transaction, TABLE, state.enrollments)
    if state.conflicts:
        firsts = {_key(one): one for one in reversed(state.conflicts)}
        await transaction.insert("conflict", firsts)


async def forget_early_cancels(transaction: MemoryTransaction, before: datetime) -> None:
    """Forget cancels whose request has not come, but for those at work elsewhere."""
    early = await transaction.read_indexed(TABLE, [EnrollmentState.UNOPENED])
    gone = await transaction.lock_free(TABLE, early, partial(_is_forgotten, before=before))
    await transaction.write(TABLE, dict.fromkeys(gone))


def _is_forgotten(row: Enrollment, before: datetime) -> bool:
    is_early = row.state is EnrollmentState.UNOPENED
    return is_early and row.decided_at is not None and row.decided_at < before


def _key(conflict: Conflict) -> tuple[object, ...]:
    return conflict.enrollment_id, conflict.student_id, conflict.kind, conflict.body_sha256
