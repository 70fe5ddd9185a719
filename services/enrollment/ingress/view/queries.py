"""What is asked of the view: one statement each, by an index each."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from services.enrollment.ingress.view.model import (
    SagaStatus,
    Status,
    Totals,
    ViewedEnrollment,
    ViewedSection,
)
from services.enrollment.ingress.view.rows import enrollment_of, section_of
from shared.database import Transaction
from shared.identifiers import EnrollmentId, SectionId, SectionKey, StudentId, Term

UNSEEN: Final = -1


class Place(NamedTuple):
    """Where an enrollment stands among others, by when it was requested."""

    requested_at: datetime
    enrollment_id: UUID


END: Final = Place(datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))


@dataclass(frozen=True, slots=True)
class SagaFilter:
    """Which sagas are wanted: those that pass all of it; running ones execute or compensate."""

    status: SagaStatus | None = None
    student_id: StudentId | None = None
    requested_before: datetime | None = None
    is_running: bool = False


# Each piece of an answer is read in order by an index of its own, no more than is wanted of it.
_PIECES: Final[Mapping[SagaStatus, tuple[str, ...]]] = {
    SagaStatus.EXECUTING: ("status = 'pending'",),
    SagaStatus.COMPLETED: ("status = 'confirmed'",),
    SagaStatus.COMPENSATING: ("status IN ('rejected', 'cancelled') AND settled_at IS NULL",),
    SagaStatus.COMPENSATED: (
        "status = 'rejected' AND settled_at IS NOT NULL",
        "status = 'cancelled' AND settled_at IS NOT NULL",
    ),
}
_RUNNING: Final = (SagaStatus.EXECUTING, SagaStatus.COMPENSATING)


async def find(
    transaction: Transaction, ids: Collection[EnrollmentId]
) -> dict[EnrollmentId, ViewedEnrollment]:
    """Read the enrollments of these ids, as far as they are known."""
    rows = await transaction.fetch(
        "SELECT * FROM viewed_enrollment WHERE enrollment_id = ANY($1::uuid[])", list(ids)
    )
    return {row["enrollment_id"]: enrollment_of(row) for row in rows}


async def find_changed(
    transaction: Transaction, marks: Mapping[EnrollmentId, int]
) -> list[tuple[int, ViewedEnrollment]]:
    """Read those that have changed since they had these marks, each with its new one.

    Nothing changes without a happening more, so their length will do for a mark.
    """
    rows = await transaction.fetch(
        """
        SELECT coalesce(length(v.happenings), 0) AS mark, v.*
        FROM unnest($1::uuid[], $2::int[]) AS seen (enrollment_id, mark)
        JOIN viewed_enrollment AS v USING (enrollment_id)
        WHERE coalesce(length(v.happenings), 0) <> seen.mark
        """,
        list(marks),
        list(marks.values()),
    )
    return [(row["mark"], enrollment_of(row)) for row in rows]


async def sagas(
    transaction: Transaction, wanted: SagaFilter, before: Place, limit: int
) -> list[ViewedEnrollment]:
    """Read enrollments from a place on, newest first."""
    if wanted.requested_before is not None:
        before = min(before, Place(wanted.requested_before, UUID(int=0)))
    conditions = _conditions(wanted)
    if not conditions:
        return []
    pieces = [
        f"(SELECT * FROM viewed_enrollment WHERE {condition}"  # noqa: S608  of constants
        " AND (requested_at, enrollment_id) < ($1, $2)"
        " ORDER BY requested_at DESC, enrollment_id DESC LIMIT $3)"
        for condition in conditions
    ]
    of_student = [] if wanted.student_id is None else [wanted.student_id]
    rows = await transaction.fetch(
        f"SELECT * FROM ({' UNION ALL '.join(pieces)}) AS pieces"  # noqa: S608  of constants
        " ORDER BY requested_at DESC, enrollment_id DESC LIMIT $3",
        *before,
        limit,
        *of_student,
    )
    return [enrollment_of(row) for row in rows]


def _conditions(wanted: SagaFilter) -> list[str]:
    """Name the pieces; a student's few enrollments are one piece, whatever is wanted of them."""
    if wanted.student_id is not None and wanted.status is None and not wanted.is_running:
        return ["student_id = $4"]
    statuses = SagaStatus if wanted.status is None else (wanted.status,)
    kept = [one for one in statuses if not wanted.is_running or one in _RUNNING]
    pieces = [piece for one in kept for piece in _PIECES[one]]
    if wanted.student_id is None or not pieces:
        return pieces
    return [f"student_id = $4 AND ({' OR '.join(f'({piece})' for piece in pieces)})"]


async def section(transaction: Transaction, key: SectionKey) -> ViewedSection | None:
    """Read one section, if the catalog has ever had it."""
    rows = await transaction.fetch(
        """
        SELECT * FROM viewed_section
        WHERE term = $1 AND section_id = $2 AND version IS NOT NULL
        """,
        *key,
    )
    return section_of(rows[0]) if rows else None


async def sections(
    transaction: Transaction, term: Term, after: SectionId | None, limit: int
) -> list[ViewedSection]:
    """Read the sections of a term, by id."""
    rows = await transaction.fetch(
        """
        SELECT * FROM viewed_section
        WHERE term = $1 AND section_id > $2 AND version IS NOT NULL
        ORDER BY section_id LIMIT $3
        """,
        term,
        after or "",
        limit,
    )
    return [section_of(row) for row in rows]


async def totals(transaction: Transaction) -> Totals:
    """Read how many enrollments there are of each status, which costs no more with many."""
    [row] = await transaction.fetch("SELECT * FROM viewed_total WHERE is_the_one")
    return Totals(
        active=row[Status.PENDING],
        completed=row[Status.CONFIRMED],
        rejected=row[Status.REJECTED],
        cancelled=row[Status.CANCELLED],
    )
