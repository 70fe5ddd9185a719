"""All SQL of enrollment: load and lock many rows, save many rows; it never commits."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg
from pydantic import TypeAdapter
from sqlalchemy import ARRAY, Column, DateTime, LargeBinary, MetaData, Table, Text, Uuid, select

from services.enrollment.model import (
    Conflict,
    ConflictKind,
    DeadlinePolicy,
    Enrollment,
    EnrollmentState,
    State,
)
from shared import enrollment_rows
from shared.database import AnyRow, Transaction
from shared.events import Event, Reason, Stage
from shared.identifiers import EnrollmentId, SectionId, StudentId, Term
from shared.metric_table import LONG_PENDING_SECONDS
from shared.reaction import Rows, enrollments_of

METADATA: Final = MetaData()
STREAMED_AT_ONCE: Final = 5000
AGED_MAX: Final = 10_000
SORT_SECONDS_MAX: Final = 3600.0

ENROLLMENT: Final = Table(
    "enrollment",
    METADATA,
    Column("enrollment_id", Uuid, primary_key=True),
    Column("state", Text, nullable=False),
    Column("student_id", Text, nullable=False),
    Column("term", Text),
    Column("sections", ARRAY(Text), nullable=False),
    Column("body_sha256", LargeBinary),
    Column("opened_at", DateTime(timezone=True)),
    Column("deadline_at", DateTime(timezone=True)),
    Column("decided_at", DateTime(timezone=True)),
    Column("stage", Text),
    Column("reasons", Text),
    Column("cancelled_by", ARRAY(Text), nullable=False),
    Column("cancel_reason", Text),
    Column("traceparent", Text),
    Column("requested_at", DateTime(timezone=True)),
)

CONFLICT: Final = Table(
    "conflict",
    METADATA,
    Column("enrollment_id", Uuid, primary_key=True),
    Column("student_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("body_sha256", LargeBinary, primary_key=True),
    Column("received_at", DateTime(timezone=True), nullable=False),
)

_CHANGED: Final = """
    unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[],
           $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::text[], $11::text[],
           $12::text[], $13::text[], $14::text[], $15::timestamptz[])
        AS n (enrollment_id, state, student_id, term, sections, body_sha256, opened_at,
              deadline_at, decided_at, stage, reasons, cancelled_by, cancel_reason, traceparent,
              requested_at)
"""
_INSERT: Final = f"""
    INSERT INTO enrollment (
        enrollment_id, state, student_id, term, sections, body_sha256, opened_at, deadline_at,
        decided_at, stage, reasons, cancelled_by, cancel_reason, traceparent, requested_at)
    SELECT enrollment_id, state, student_id, term, string_to_array(sections, ' '), body_sha256,
           opened_at, deadline_at, decided_at, stage, reasons,
           string_to_array(cancelled_by, ' '), cancel_reason, traceparent, requested_at
    FROM {_CHANGED} ON CONFLICT DO NOTHING
"""  # noqa: S608  of constants
_UPDATE: Final = f"""
    UPDATE enrollment AS e
    SET state = n.state, student_id = n.student_id, term = n.term,
        sections = string_to_array(n.sections, ' '), body_sha256 = n.body_sha256,
        opened_at = n.opened_at, deadline_at = n.deadline_at,
        decided_at = n.decided_at, stage = n.stage, reasons = n.reasons,
        cancelled_by = string_to_array(n.cancelled_by, ' '), cancel_reason = n.cancel_reason,
        traceparent = n.traceparent, requested_at = n.requested_at
    FROM {_CHANGED} WHERE e.enrollment_id = n.enrollment_id
"""  # noqa: S608  of constants
_REASONS: Final = TypeAdapter(tuple[Reason, ...])


async def load(transaction: Transaction, events: Sequence[Event], policy: DeadlinePolicy) -> State:
    """Lock the enrollments of these events, sorted."""
    rows = await enrollment_rows.lock(transaction, "enrollment", enrollments_of(events))
    return State(Rows({key: _enrollment(row) for key, row in rows.items()}), policy)


async def load_overdue(
    transaction: Transaction, now: datetime, limit: int, policy: DeadlinePolicy
) -> State:
    """Lock pending enrollments whose deadline has passed, leaving those that are being decided."""
    rows = await transaction.fetch(
        """
        SELECT * FROM enrollment WHERE state = 'pending' AND deadline_at <= $1
        ORDER BY deadline_at LIMIT $2 FOR UPDATE SKIP LOCKED
        """,
        now,
        limit,
    )
    return State(Rows({row["enrollment_id"]: _enrollment(row) for row in rows}), policy)


def _enrollment(row: AnyRow) -> Enrollment:
    return Enrollment(
        enrollment_id=row["enrollment_id"],
        state=EnrollmentState(row["state"]),
        student_id=row["student_id"],
        term=row["term"],
        sections=tuple(row["sections"]),
        body_sha256=row["body_sha256"],
        opened_at=row["opened_at"],
        deadline_at=row["deadline_at"],
        decided_at=row["decided_at"],
        stage=Stage(row["stage"]) if row["stage"] else None,
        reasons=_REASONS.validate_json(row["reasons"]) if row["reasons"] else (),
        cancelled_by=tuple(row["cancelled_by"]),
        cancel_reason=row["cancel_reason"],
        traceparent=row["traceparent"],
        requested_at=row["requested_at"],
    )


async def save(transaction: Transaction, state: State) -> None:
    """Write what the batch changed; RivalRowError where a missing row was made meanwhile."""
    await enrollment_rows.save(
        transaction, state.enrollments, _columns, insert=_INSERT, update=_UPDATE
    )
    await _save_conflicts(transaction, state.conflicts)


def _columns(enrollments: Sequence[Enrollment]) -> Sequence[Sequence[object]]:
    return (
        [e.enrollment_id for e in enrollments],
        [e.state.value for e in enrollments],
        [e.student_id for e in enrollments],
        [e.term for e in enrollments],
        [" ".join(e.sections) for e in enrollments],
        [e.body_sha256 for e in enrollments],
        [e.opened_at for e in enrollments],
        [e.deadline_at for e in enrollments],
        [e.decided_at for e in enrollments],
        [e.stage.value if e.stage else None for e in enrollments],
        [_REASONS.dump_json(e.reasons).decode() if e.reasons else None for e in enrollments],
        [" ".join(e.cancelled_by) for e in enrollments],
        [e.cancel_reason for e in enrollments],
        [e.traceparent for e in enrollments],
        [e.requested_at for e in enrollments],
    )


async def _save_conflicts(transaction: Transaction, conflicts: Sequence[Conflict]) -> None:
    if not conflicts:
        return
    await transaction.execute(
        """
        INSERT INTO conflict
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::timestamptz[])
        ON CONFLICT DO NOTHING
        """,
        [c.enrollment_id for c in conflicts],
        [c.student_id for c in conflicts],
        [c.kind.value for c in conflicts],
        [c.body_sha256 for c in conflicts],
        [c.received_at for c in conflicts],
    )


async def count_pending(transaction: Transaction, limit: int) -> int:
    """Count the pending enrollments, up to a limit."""
    rows = await transaction.fetch(
        """
        SELECT count(*) AS pending
        FROM (SELECT FROM enrollment WHERE state = 'pending' LIMIT $1) AS pending_ones
        """,
        limit,
    )
    pending: int = rows[0]["pending"]
    return pending


async def pending_ages(transaction: Transaction, now: datetime) -> tuple[float, float, float]:
    """Count the pending enrollments and those pending for long; give the age of the oldest."""
    rows = await transaction.fetch(
        """
        SELECT count(*) AS pending, min(opened_at) AS since,
               count(*) FILTER (WHERE opened_at < $1) AS pending_long
        FROM (SELECT opened_at FROM enrollment WHERE state = 'pending'
              ORDER BY deadline_at LIMIT $2) AS pending_ones
        """,
        now - timedelta(seconds=LONG_PENDING_SECONDS),
        AGED_MAX,
    )
    found = rows[0]
    oldest_seconds = (now - (found["since"] or now)).total_seconds()
    return found["pending"], found["pending_long"], max(0.0, oldest_seconds)


async def forget_early_cancels(transaction: Transaction, before: datetime) -> None:
    """Forget cancels whose request has not come within the topic's retention."""
    await transaction.execute(
        """
        DELETE FROM enrollment WHERE enrollment_id IN (
            SELECT enrollment_id FROM enrollment
            WHERE state = 'unopened' AND decided_at < $1 FOR UPDATE SKIP LOCKED)
        """,
        before,
    )


async def find_enrollment(
    transaction: Transaction, enrollment_id: EnrollmentId
) -> Enrollment | None:
    """Read one enrollment, without a lock."""
    query = select(ENROLLMENT).where(ENROLLMENT.c.enrollment_id == enrollment_id)
    row = (await transaction.connection.execute(query)).mappings().one_or_none()
    return None if row is None else _enrollment(row)


async def find_conflicts(transaction: Transaction, enrollment_id: EnrollmentId) -> list[Conflict]:
    """Read what contradicted an enrollment, oldest first."""
    query = (
        select(CONFLICT)
        .where(CONFLICT.c.enrollment_id == enrollment_id)
        .order_by(CONFLICT.c.received_at)
    )
    rows = (await transaction.connection.execute(query)).mappings()
    return [Conflict(**{**row, "kind": ConflictKind(row["kind"])}) for row in rows]


class ConfirmedSeat(NamedTuple):
    """One student in one section, by a confirmed enrollment."""

    student_id: StudentId
    section_id: SectionId
    enrollment_id: EnrollmentId
    confirmed_at: datetime


async def stream_confirmed_seats(
    reader: asyncpg.Connection, term: Term
) -> AsyncIterator[list[ConfirmedSeat]]:
    """Read the confirmed seats of a term by student and section, in parts, by a cursor.

    The connection must be in a transaction. All parts are of one moment, that in which the cursor
    was opened, at any isolation level. Reads the table once: an index by term would cost every
    enrollment something.
    """
    await reader.execute("SET LOCAL statement_timeout = 0")  # it sorts before the first row comes
    cursor = await reader.cursor(
        """
        SELECT e.student_id, s.section_id, e.enrollment_id, e.decided_at AS confirmed_at
        FROM enrollment AS e CROSS JOIN unnest(e.sections) AS s (section_id)
        WHERE e.state = 'confirmed' AND e.term = $1
        ORDER BY e.student_id COLLATE "C", s.section_id COLLATE "C"
        """,
        term,
    )
    while rows := await cursor.fetch(STREAMED_AT_ONCE, timeout=SORT_SECONDS_MAX):
        yield [ConfirmedSeat(*row) for row in rows]
