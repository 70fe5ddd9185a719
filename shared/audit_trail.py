"""The hash-chained record of what operators did; it is only ever added to."""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from shared.database import Transaction

AUDIT_LOCK: Final = 7_211_403  # one writer at a time, or two records would follow the same one
FIRST_HASH: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One action of one operator."""

    id: int
    recorded_at: datetime
    operator: str
    action: str
    subject: str
    detail: str
    previous_hash: bytes
    hash: bytes


def chain(previous_hash: bytes, recorded_at: datetime, *texts: str) -> bytes:
    """Hash a record together with the one before it, so that none can be changed or left out."""
    parts = (recorded_at.astimezone(UTC).isoformat(), *texts)
    return sha256(previous_hash + "\x1f".join(parts).encode()).digest()


async def record(
    transaction: Transaction,
    *,
    operator: str,
    action: str,
    subject: str,
    detail: str,
    now: datetime,
) -> None:
    """Add a record, in the transaction of what it tells of."""
    await transaction.execute("SELECT pg_advisory_xact_lock($1)", AUDIT_LOCK)
    rows = await transaction.fetch("SELECT id, hash FROM audit_trail ORDER BY id DESC LIMIT 1")
    number, previous = (rows[0]["id"] + 1, rows[0]["hash"]) if rows else (1, FIRST_HASH)
    digest = chain(previous, now, operator, action, subject, detail)
    await transaction.execute(
        "INSERT INTO audit_trail VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        number,
        now,
        operator,
        action,
        subject,
        detail,
        previous,
        digest,
    )


async def read(transaction: Transaction) -> list[AuditRecord]:
    """Read the whole trail, oldest first."""
    rows = await transaction.fetch("SELECT * FROM audit_trail ORDER BY id")
    return [AuditRecord(**row) for row in rows]


def first_break(records: list[AuditRecord]) -> int | None:
    """Name the first record that does not follow from the one before it; None where all do."""
    previous = FIRST_HASH
    for number, one in enumerate(records, start=1):
        digest = chain(previous, one.recorded_at, one.operator, one.action, one.subject, one.detail)
        if (one.id, one.previous_hash, one.hash) != (number, previous, digest):
            return number
        previous = one.hash
    return None
