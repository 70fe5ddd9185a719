"""The one row that an enrollment has in each service, as shared.enrollment_rows keeps it."""

from collections.abc import Collection
from operator import attrgetter
from typing import Any

from services.simulation.transaction import MemoryTransaction
from services.simulation.transaction import Rows as TableRows
from shared.enrollment_rows import MADE_MEANWHILE
from shared.errors import RivalRowError
from shared.identifiers import EnrollmentId, in_lock_order
from shared.reaction import Rows


async def lock(
    transaction: MemoryTransaction, table: str, ids: Collection[EnrollmentId]
) -> TableRows:
    """Lock the rows that are there, in one order for all, and read them."""
    return await transaction.lock(table, in_lock_order(ids)) if ids else {}


async def save(transaction: MemoryTransaction, table: str, rows: Rows[EnrollmentId, Any]) -> None:
    """Make the rows that were missing and change the others; RivalRowError on a rival's row."""
    changed = sorted(rows.changed(), key=attrgetter("enrollment_id.int"))
    missing = {one.enrollment_id: one for one in changed if rows.is_new(one.enrollment_id)}
    if missing and len(await transaction.insert(table, missing)) != len(missing):
        raise RivalRowError(MADE_MEANWHILE)
    known = {one.enrollment_id: one for one in changed if one.enrollment_id not in missing}
    if known:
        await transaction.write(table, known)
