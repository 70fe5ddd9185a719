"""All SQL of capacity: load and lock many rows, save many rows; it never commits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    select,
)

from services.capacity.model import Reservation, ReservationState, Section, State
from shared import enrollment_rows
from shared.database import AnyRow, Transaction
from shared.events import (
    Event,
    SectionPublished,
    SectionState,
    SectionWithdrawn,
    StudentValidated,
)
from shared.identifiers import EnrollmentId, SectionId, SectionKey, StudentId, Term
from shared.reaction import Rows, enrollments_of, only

METADATA: Final = MetaData()
READ_SECONDS_MAX: Final = 3600.0
COUNTED_MAX: Final = 100_000
UNPUBLISHED: Final = -1  # the version of a row that was made for its lock

RESERVATION: Final = Table(
    "reservation",
    METADATA,
    Column("enrollment_id", Uuid, primary_key=True),
    Column("student_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("is_answered", Boolean, nullable=False),
    Column("term", Text),
    Column("sections", ARRAY(Text), nullable=False),
    Column("decided_at", DateTime(timezone=True)),
    Column("released_at", DateTime(timezone=True)),
)

SECTION: Final = Table(
    "section",
    METADATA,
    Column("term", Text, primary_key=True),
    Column("section_id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("capacity", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reserved", Integer, nullable=False),
    Column("seat_sequence", BigInteger, nullable=False),
)

_CHANGED: Final = """
    unnest($1::uuid[], $2::text[], $3::text[], $4::boolean[], $5::text[], $6::text[],
           $7::timestamptz[], $8::timestamptz[])
        AS n (enrollment_id, student_id, state, is_answered, term, sections, decided_at,
              released_at)
"""
_INSERT: Final = f"""
    INSERT INTO reservation (
        enrollment_id, student_id, state, is_answered, term, sections, decided_at, released_at)
    SELECT enrollment_id, student_id, state, is_answered, term, string_to_array(sections, ' '),
           decided_at, released_at
    FROM {_CHANGED} ON CONFLICT DO NOTHING
"""  # noqa: S608  of constants
_UPDATE: Final = f"""
    UPDATE reservation AS r
    SET student_id = n.student_id, state = n.state, is_answered = n.is_answered, term = n.term,
        sections = string_to_array(n.sections, ' '), decided_at = n.decided_at,
        released_at = n.released_at
    FROM {_CHANGED} WHERE r.enrollment_id = n.enrollment_id
"""  # noqa: S608  of constants


async def load(transaction: Transaction, events: Sequence[Event]) -> State:
    """Lock, in this order and each sorted, the reservations and the sections of these events."""
    rows = await enrollment_rows.lock(transaction, "reservation", enrollments_of(events))
    reservations = {enrollment_id: _reservation(row) for enrollment_id, row in rows.items()}
    keys = {
        SectionKey(event.term, section_id)
        for event in only(events, StudentValidated)
        for section_id in event.sections
    }
    keys |= {event.key for event in only(events, SectionPublished)}
    keys |= {event.key for event in only(events, SectionWithdrawn)}
    for reservation in reservations.values():
        if reservation.state is ReservationState.RESERVED and reservation.term is not None:
            keys |= {SectionKey(reservation.term, s) for s in reservation.sections}
    await _make_sections(transaction, {e.key for e in only(events, SectionPublished)})
    return State(Rows(reservations), Rows(await _lock_sections(transaction, keys)))


async def _make_sections(transaction: Transaction, keys: set[SectionKey]) -> None:
    """Make the rows that are missing, unpublished and so locked: never look first."""
    if not keys:
        return
    wanted = sorted(keys)
    await transaction.execute(
        """
        INSERT INTO section (term, section_id)
        SELECT term, section_id FROM unnest($1::text[], $2::text[]) AS wanted (term, section_id)
        ON CONFLICT (term, section_id) DO NOTHING
        """,
        [key.term for key in wanted],
        [key.section_id for key in wanted],
    )


def _reservation(row: AnyRow) -> Reservation:
    return Reservation(
        enrollment_id=row["enrollment_id"],
        student_id=row["student_id"],
        state=ReservationState(row["state"]),
        is_answered=row["is_answered"],
        term=row["term"],
        sections=tuple(row["sections"]),
        decided_at=row["decided_at"],
        released_at=row["released_at"],
    )


async def _lock_sections(
    transaction: Transaction, keys: set[SectionKey]
) -> dict[SectionKey, Section]:
    if not keys:
        return {}
    wanted = sorted(keys)
    rows = await transaction.fetch(
        """
        SELECT section.* FROM unnest($1::text[], $2::text[]) AS wanted (term, section_id)
        JOIN section USING (term, section_id)
        ORDER BY term, section_id FOR UPDATE OF section
        """,
        [key.term for key in wanted],
        [key.section_id for key in wanted],
    )
    found = [_section(row) for row in rows if row["version"] != UNPUBLISHED]
    return {section.key: section for section in found}


def _section(row: AnyRow) -> Section:
    return Section(
        key=SectionKey(row["term"], row["section_id"]),
        version=row["version"],
        capacity=row["capacity"],
        state=SectionState(row["state"]),
        reserved=row["reserved"],
        seat_sequence=row["seat_sequence"],
    )


async def save(transaction: Transaction, state: State) -> None:
    """Write what the batch changed; RivalRowError where a missing row was made meanwhile."""
    await enrollment_rows.save(
        transaction, state.reservations, _columns, insert=_INSERT, update=_UPDATE
    )
    await _save_sections(transaction, state.sections.changed())


def _columns(reservations: Sequence[Reservation]) -> Sequence[Sequence[object]]:
    return (
        [r.enrollment_id for r in reservations],
        [r.student_id for r in reservations],
        [r.state.value for r in reservations],
        [r.is_answered for r in reservations],
        [r.term for r in reservations],
        [" ".join(r.sections) for r in reservations],
        [r.decided_at for r in reservations],
        [r.released_at for r in reservations],
    )


async def _save_sections(transaction: Transaction, changed: Sequence[Section]) -> None:
    if not changed:
        return
    await transaction.execute(
        """
        UPDATE section AS s
        SET version = n.version, capacity = n.capacity, state = n.state,
            reserved = n.reserved, seat_sequence = n.seat_sequence
        FROM unnest($1::text[], $2::text[], $3::bigint[], $4::int[], $5::text[], $6::int[],
                    $7::bigint[])
            AS n (term, section_id, version, capacity, state, reserved, seat_sequence)
        WHERE s.term = n.term AND s.section_id = n.section_id
        """,
        [s.key.term for s in changed],
        [s.key.section_id for s in changed],
        [s.version for s in changed],
        [s.capacity for s in changed],
        [s.state.value for s in changed],
        [s.reserved for s in changed],
        [s.seat_sequence for s in changed],
    )


async def find_reservation(
    transaction: Transaction, enrollment_id: EnrollmentId
) -> Reservation | None:
    """Read one reservation, without a lock."""
    query = select(RESERVATION).where(RESERVATION.c.enrollment_id == enrollment_id)
    row = (await transaction.connection.execute(query)).mappings().one_or_none()
    return None if row is None else _reservation(row)


async def list_sections(transaction: Transaction, term: Term | None = None) -> list[Section]:
    """Read the sections of a term, or of all, in order, without a lock."""
    query = (
        select(SECTION)
        .where(SECTION.c.version != UNPUBLISHED)
        .order_by(SECTION.c.term, SECTION.c.section_id)
    )
    if term is not None:
        query = query.where(SECTION.c.term == term)
    return [_section(row) for row in (await transaction.connection.execute(query)).mappings()]


class HeldSeat(NamedTuple):
    """One seat, and the enrollment that holds it."""

    term: Term
    section_id: SectionId
    enrollment_id: EnrollmentId
    student_id: StudentId


async def list_seats_in_cancelled_sections(
    reader: asyncpg.Connection, term: Term | None = None
) -> list[HeldSeat]:
    """Read the seats that are held in cancelled sections, of a term or of all, in order.

    Reads all reservations, once, but only where such a seat is held: an index by section would
    cost every enrollment something, and sections are cancelled a few times a term. So it may take
    longer than other statements. The connection must be in a transaction.
    """
    await reader.execute("SET LOCAL statement_timeout = 0")
    rows = await reader.fetch(
        """
        SELECT r.term, held.section_id, r.enrollment_id, r.student_id
        FROM reservation AS r CROSS JOIN unnest(r.sections) AS held (section_id)
        WHERE r.state = 'reserved' AND ($1::text IS NULL OR r.term = $1)
            -- IS TRUE keeps it from becoming a join, whose plan could read reservations many times
            AND ((r.term, held.section_id) IN (
                SELECT term, section_id FROM section WHERE state = 'cancelled' AND reserved > 0
            )) IS TRUE
            AND EXISTS (SELECT FROM section WHERE state = 'cancelled' AND reserved > 0)
        ORDER BY r.term, held.section_id, r.enrollment_id
        """,
        term,
        timeout=READ_SECONDS_MAX,
    )
    return [HeldSeat(*row) for row in rows]


async def seats_in_total(transaction: Transaction, _now: datetime) -> tuple[int, int, int, int]:
    """Count open sections, those without a free seat, their seats and those that are reserved."""
    rows = await transaction.fetch(
        """
        SELECT count(*) AS sections, count(*) FILTER (WHERE reserved >= capacity) AS full_ones,
               coalesce(sum(capacity), 0)::bigint AS seats,
               coalesce(sum(reserved), 0)::bigint AS reserved
        FROM (SELECT capacity, reserved FROM section WHERE state = 'open'
              ORDER BY term, section_id LIMIT $1) AS open_ones
        """,
        COUNTED_MAX,
    )
    found = rows[0]
    return found["sections"], found["full_ones"], found["seats"], found["reserved"]
