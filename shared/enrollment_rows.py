"""The one row that an enrollment has in each service: locked if it is there, made if it is not."""

from collections.abc import Callable, Collection, Sequence
from operator import attrgetter
from typing import Protocol, TypeVar

import asyncpg

from shared.database import Transaction
from shared.errors import RivalRowError
from shared.identifiers import EnrollmentId
from shared.reaction import Rows

MADE_MEANWHILE = "another transaction has made the same row: nothing was changed, do it again"


class EnrollmentRow(Protocol):
    """What every service's row of an enrollment has."""

    @property
    def enrollment_id(self) -> EnrollmentId:
        """Name the enrollment."""


AnyRow = TypeVar("AnyRow", bound=EnrollmentRow)


async def lock(
    transaction: Transaction, table: str, ids: Collection[EnrollmentId]
) -> dict[EnrollmentId, asyncpg.Record]:
    """Lock the rows that are there, in one order for all, and read them.

    Rows give order between topics, where partitions do not: an answer and an end of the same
    enrollment may be in two processes at once.
    """
    if not ids:
        return {}
    rows = await transaction.fetch(
        f"SELECT * FROM {table} WHERE enrollment_id = ANY($1::uuid[])"  # noqa: S608
        " ORDER BY enrollment_id FOR UPDATE",
        list(ids),
    )
    return {row["enrollment_id"]: row for row in rows}


async def save(
    transaction: Transaction,
    rows: Rows[EnrollmentId, AnyRow],
    columns_of: Callable[[Sequence[AnyRow]], Sequence[Sequence[object]]],
    *,
    insert: str,
    update: str,
) -> None:
    """Make the rows that were missing and change those that `lock` has read, in lock order.

    What was missing has no lock, so a rival may have made it meanwhile, unseen by our decision:
    then RivalRowError, and the transaction must be run again. `insert` must do nothing on a
    conflict: it waits for a rival that has not committed, but to lock what is there already, so
    late, could deadlock. Both get the same columns.
    """
    changed = sorted(rows.changed(), key=attrgetter("enrollment_id.int"))
    missing = [row for row in changed if rows.is_new(row.enrollment_id)]
    if missing and await transaction.write(insert, *columns_of(missing)) != len(missing):
        raise RivalRowError(MADE_MEANWHILE)
    known = [row for row in changed if not rows.is_new(row.enrollment_id)]
    if known:
        await transaction.execute(update, *columns_of(known))
