"""The one row that an enrollment has in each service: made if it is missing, then locked."""

from collections.abc import Collection, Mapping

import asyncpg

from shared.database import Transaction
from shared.identifiers import EnrollmentId, StudentId, in_lock_order


async def make(
    transaction: Transaction, table: str, students: Mapping[EnrollmentId, StudentId]
) -> set[EnrollmentId]:
    """Make the rows that are missing, undecided and so locked; name those that were made.

    Never look first: of two transactions that do, neither sees the other's row. Rows give order
    between topics, where partitions do not: an answer and an end of the same enrollment may be in
    two processes at once.
    """
    if not students:
        return set()
    ids = in_lock_order(students)
    rows = await transaction.fetch(
        f"""
        INSERT INTO {table} (enrollment_id, student_id, state)
        SELECT enrollment_id, student_id, 'undecided'
        FROM unnest($1::uuid[], $2::text[]) AS wanted (enrollment_id, student_id)
        ON CONFLICT (enrollment_id) DO NOTHING RETURNING enrollment_id
        """,  # noqa: S608  the table's name is ours
        ids,
        [students[enrollment_id] for enrollment_id in ids],
    )
    return {row["enrollment_id"] for row in rows}


async def lock(
    transaction: Transaction, table: str, ids: Collection[EnrollmentId]
) -> dict[EnrollmentId, asyncpg.Record]:
    """Lock rows, in one order for all, and read those about which something was decided."""
    if not ids:
        return {}
    rows = await transaction.fetch(
        f"SELECT * FROM {table} WHERE enrollment_id = ANY($1::uuid[])"  # noqa: S608
        " ORDER BY enrollment_id FOR UPDATE",
        in_lock_order(ids),
    )
    return {row["enrollment_id"]: row for row in rows if row["state"] != "undecided"}
