"""All SQL that keeps the view: load and lock many rows, save many rows; it never commits."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from services.enrollment.ingress.view.model import State, Status, ViewedEnrollment, ViewedSection
from services.enrollment.ingress.view.rows import (
    enrollment_of,
    happenings_text,
    reasons_text,
    refusals_text,
    section_of,
)
from shared import enrollment_rows
from shared.database import Transaction
from shared.enrollment_rows import MADE_MEANWHILE
from shared.errors import RivalRowError
from shared.events import (
    Event,
    SeatReleased,
    SeatReserved,
    SeatUnavailable,
    SectionPublished,
    SectionWithdrawn,
)
from shared.identifiers import SectionKey
from shared.reaction import Rows, enrollments_of, only

AGED_MAX: Final = 10_000
_CHANGED: Final = """
    unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[],
           $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::text[], $11::text[],
           $12::text[], $13::text[], $14::text[], $15::timestamptz[])
        AS n (enrollment_id, student_id, status, requested_at, term, sections, opened_at,
              deadline_at, decided_at, stage, reasons, was, happenings, refusals, settled_at)
"""
_INSERT: Final = f"""
    INSERT INTO viewed_enrollment (
        enrollment_id, student_id, status, requested_at, term, sections, opened_at, deadline_at,
        decided_at, stage, reasons, was, happenings, refusals, settled_at, is_pruned)
    SELECT enrollment_id, student_id, status, requested_at, term, string_to_array(sections, ' '),
           opened_at, deadline_at, decided_at, stage, reasons, was, happenings, refusals,
           settled_at, happenings IS NULL
    FROM {_CHANGED} ON CONFLICT DO NOTHING
"""  # noqa: S608  of constants
_UPDATE: Final = f"""
    UPDATE viewed_enrollment AS v
    SET student_id = n.student_id, status = n.status, requested_at = n.requested_at, term = n.term,
        sections = string_to_array(n.sections, ' '), opened_at = n.opened_at,
        deadline_at = n.deadline_at, decided_at = n.decided_at, stage = n.stage,
        reasons = n.reasons, was = n.was, happenings = n.happenings, refusals = n.refusals,
        settled_at = n.settled_at, is_pruned = n.happenings IS NULL
    FROM {_CHANGED} WHERE v.enrollment_id = n.enrollment_id
"""  # noqa: S608  of constants
_CHANGED_SECTIONS: Final = """
    unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::int[], $7::bigint[],
           $8::int[], $9::bigint[])
        AS n (term, section_id, course_id, state, credits, capacity, version, reserved,
              seat_sequence)
"""
_INSERT_SECTIONS: Final = f"""
    INSERT INTO viewed_section (
        term, section_id, course_id, state, credits, capacity, version, reserved, seat_sequence)
    SELECT * FROM {_CHANGED_SECTIONS} ON CONFLICT DO NOTHING
"""  # noqa: S608  of constants
_UPDATE_SECTIONS: Final = f"""
    UPDATE viewed_section AS v
    SET course_id = n.course_id, state = n.state, credits = n.credits, capacity = n.capacity,
        version = n.version, reserved = n.reserved, seat_sequence = n.seat_sequence
    FROM {_CHANGED_SECTIONS} WHERE v.term = n.term AND v.section_id = n.section_id
"""  # noqa: S608  of constants


async def load(transaction: Transaction, events: Sequence[Event]) -> State:
    """Lock, in this order and each sorted, the enrollments and the sections of these events."""
    rows = await enrollment_rows.lock(transaction, "viewed_enrollment", enrollments_of(events))
    enrollments = {enrollment_id: enrollment_of(row) for enrollment_id, row in rows.items()}
    counting: list[SeatReserved | SeatUnavailable | SeatReleased] = only(
        events, SeatReserved, SeatUnavailable, SeatReleased
    )
    keys = {SectionKey(event.term, one.section_id) for event in counting for one in event.seats}
    keys |= {event.key for event in only(events, SectionPublished)}
    keys |= {event.key for event in only(events, SectionWithdrawn)}
    return State(Rows(enrollments), Rows(await _lock_sections(transaction, keys)))


async def _lock_sections(
    transaction: Transaction, keys: Collection[SectionKey]
) -> dict[SectionKey, ViewedSection]:
    if not keys:
        return {}
    wanted = sorted(keys)
    rows = await transaction.fetch(
        """
        SELECT v.* FROM unnest($1::text[], $2::text[]) AS wanted (term, section_id)
        JOIN viewed_section AS v USING (term, section_id)
        ORDER BY v.term, v.section_id FOR UPDATE OF v
        """,
        [key.term for key in wanted],
        [key.section_id for key in wanted],
    )
    found = [section_of(row) for row in rows]
    return {section.key: section for section in found}


async def save(transaction: Transaction, state: State) -> None:
    """Write what the batch changed; RivalRowError where a missing row was made meanwhile.

    The totals come last: one row for all, so it must not be held for long.
    """
    await enrollment_rows.save(
        transaction, state.enrollments, _columns, insert=_INSERT, update=_UPDATE
    )
    await _save_sections(transaction, state.sections)
    await _save_totals(transaction, state.totals)


def _columns(enrollments: Sequence[ViewedEnrollment]) -> Sequence[Sequence[object]]:
    return (
        [e.enrollment_id for e in enrollments],
        [e.student_id for e in enrollments],
        [e.status.value for e in enrollments],
        [e.requested_at for e in enrollments],
        [e.term for e in enrollments],
        [" ".join(e.sections) for e in enrollments],
        [e.opened_at for e in enrollments],
        [e.deadline_at for e in enrollments],
        [e.decided_at for e in enrollments],
        [e.stage.value if e.stage else None for e in enrollments],
        [reasons_text(e.reasons) for e in enrollments],
        [e.was for e in enrollments],
        [happenings_text(e) for e in enrollments],
        [refusals_text(e) for e in enrollments],
        [e.settled_at for e in enrollments],
    )


async def _save_sections(
    transaction: Transaction, sections: Rows[SectionKey, ViewedSection]
) -> None:
    """As of enrollments: what is missing has no lock, so a rival may have made it meanwhile."""
    changed = sorted(sections.changed(), key=lambda section: section.key)
    missing = [section for section in changed if sections.is_new(section.key)]
    if missing:
        made = await transaction.write(_INSERT_SECTIONS, *_section_columns(missing))
        if made != len(missing):
            raise RivalRowError(MADE_MEANWHILE)
    known = [section for section in changed if not sections.is_new(section.key)]
    if known:
        await transaction.execute(_UPDATE_SECTIONS, *_section_columns(known))


def _section_columns(sections: Sequence[ViewedSection]) -> Sequence[Sequence[object]]:
    return (
        [s.term for s in sections],
        [s.section_id for s in sections],
        [s.course_id for s in sections],
        [s.state.value for s in sections],
        [s.credits for s in sections],
        [s.capacity for s in sections],
        [s.version for s in sections],
        [s.reserved for s in sections],
        [s.seat_sequence for s in sections],
    )


async def _save_totals(transaction: Transaction, totals: Counter[Status]) -> None:
    if not any(totals.values()):
        return
    await transaction.execute(
        """
        UPDATE viewed_total
        SET pending = pending + $1, confirmed = confirmed + $2, rejected = rejected + $3,
            cancelled = cancelled + $4
        WHERE is_the_one
        """,
        totals[Status.PENDING],
        totals[Status.CONFIRMED],
        totals[Status.REJECTED],
        totals[Status.CANCELLED],
    )


async def prune(transaction: Transaction, before: datetime, limit: int) -> int:
    """Forget the happenings of some enrollments that were settled before; tell of how many.

    Those that a batch is at work on are left for later.
    """
    return await transaction.write(
        """
        UPDATE viewed_enrollment SET happenings = NULL, refusals = NULL, is_pruned = true
        WHERE enrollment_id = ANY(ARRAY(
            SELECT enrollment_id FROM viewed_enrollment
            WHERE settled_at < $1 AND NOT is_pruned
            ORDER BY settled_at LIMIT $2 FOR UPDATE SKIP LOCKED))
        """,
        before,
        limit,
    )


async def compensating_ages(transaction: Transaction, now: datetime) -> tuple[float, float]:
    """Count those that have still to give something back; tell for how long the first has."""
    rows = await transaction.fetch(
        """
        SELECT count(*) AS compensating, min(decided_at) AS since
        FROM (SELECT decided_at FROM viewed_enrollment
              WHERE status IN ('rejected', 'cancelled') AND settled_at IS NULL
              ORDER BY requested_at LIMIT $1) AS compensating_ones
        """,
        AGED_MAX,
    )
    found = rows[0]
    oldest_seconds = (now - (found["since"] or now)).total_seconds()
    return found["compensating"], max(0.0, oldest_seconds)
