"""Enrollment's store on the simulated database."""

from collections.abc import Sequence
from datetime import datetime

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
    overdue = [
        one for one in pending.values() if one.deadline_at is not None and one.deadline_at <= now
    ]
    overdue.sort(key=lambda one: (one.deadline_at, one.enrollment_id.int))
    if not overdue:
        return State(Rows({}), policy)
    ids = [one.enrollment_id for one in overdue]
    return State(Rows(await transaction.lock_free(TABLE, ids, limit)), policy)


def has_overdue(database: MemoryDatabase, now: datetime) -> bool:
    """Tell whether the deadline of any pending enrollment has passed."""
    pending = database.indexed(TABLE, EnrollmentState.PENDING).values()
    return any(one.deadline_at is not None and one.deadline_at <= now for one in pending)


def count_pending(database: MemoryDatabase) -> int:
    """Count the pending enrollments."""
    return len(database.indexed(TABLE, EnrollmentState.PENDING))


async def save(transaction: MemoryTransaction, state: State) -> None:
    """Write what the batch changed."""
    await enrollment_rows.save(transaction, TABLE, state.enrollments)
    if state.conflicts:
        await transaction.insert("conflict", {_key(one): one for one in state.conflicts})


async def forget_early_cancels(transaction: MemoryTransaction, before: datetime) -> None:
    """Forget cancels whose request has not come, but for those at work elsewhere."""
    early = await transaction.read_indexed(TABLE, [EnrollmentState.UNOPENED])
    ids = [one.enrollment_id for one in early.values() if one.decided_at < before]
    free = await transaction.lock_free(TABLE, ids)
    gone = [key for key, one in free.items() if one.state is EnrollmentState.UNOPENED]
    await transaction.write(TABLE, dict.fromkeys(gone))


def _key(conflict: Conflict) -> tuple[object, ...]:
    return conflict.enrollment_id, conflict.student_id, conflict.kind, conflict.body_sha256
