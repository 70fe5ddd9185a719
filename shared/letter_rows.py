"""The rows of dead letters: all SQL about them; it never commits."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from shared import audit_trail
from shared.database import Transaction
from shared.dead_letter import DeadLetter, unknown_letter
from shared.identifiers import EnrollmentId, in_lock_order
from shared.message import Message
from shared.reaction import Holding, Parked

LIST_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dead letters are asked for: those that are like this wherever it says something."""

    enrollment_id: EnrollmentId | None = None
    reason: str | None = None
    event_type: str | None = None


ALL: Final = Wanted()


async def holding(
    transaction: Transaction, enrollment_ids: Collection[EnrollmentId]
) -> set[Holding]:
    """Tell where dead letters hold others; waits for a replay that is under way."""
    rows = await transaction.fetch(
        """
        SELECT topic, enrollment_id FROM dead_letter
        WHERE holds AND enrollment_id = ANY($1::uuid[]) ORDER BY id FOR UPDATE
        """,
        in_lock_order(enrollment_ids),
    )
    return {(row["topic"], row["enrollment_id"]) for row in rows}


@dataclass(frozen=True, slots=True)
class Parking:
    """What is parked, by reason, and the age of the oldest of it."""

    by_reason: Mapping[str, int]
    oldest_seconds: float


async def parking(transaction: Transaction, now: datetime, limit: int) -> Parking:
    """Count what is parked, up to a limit."""
    rows = await transaction.fetch(
        """
        SELECT reason, count(*) AS parked, min(parked_at) AS since
        FROM (SELECT reason, parked_at FROM dead_letter ORDER BY id LIMIT $1) AS oldest
        GROUP BY reason
        """,
        limit,
    )
    since = min((row["since"] for row in rows), default=now)
    oldest_seconds = max(0.0, (now - since).total_seconds())
    return Parking({row["reason"]: row["parked"] for row in rows}, oldest_seconds)


async def park(transaction: Transaction, parked: Sequence[Parked], now: datetime) -> None:
    """Append messages; one that is there already (a log read again) stays as it is."""
    for one in parked:
        message = one.message
        await transaction.execute(
            """
            INSERT INTO dead_letter (topic, partition, "offset", key, value, headers, event_type,
                                     enrollment_id, reason, detail, holds, parked_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            ON CONFLICT (topic, partition, "offset") DO NOTHING
            """,
            message.topic,
            message.partition,
            message.offset,
            message.key,
            message.value,
            json.dumps([[name, value.hex()] for name, value in message.headers]),
            one.event_type,
            one.enrollment_id,
            one.reason,
            one.detail.replace("\x00", ""),  # PostgreSQL stores no NUL in a text
            one.holds,
            now,
        )


async def read(
    transaction: Transaction, wanted: Wanted = ALL, *, limit: int = LIST_MAX
) -> list[DeadLetter]:
    """List what is parked, oldest first."""
    rows = await transaction.fetch(
        """
        SELECT * FROM dead_letter
        WHERE ($1::uuid IS NULL OR enrollment_id = $1)
          AND ($2::text IS NULL OR reason = $2)
          AND ($3::text IS NULL OR event_type = $3)
        ORDER BY id LIMIT $4
        """,
        wanted.enrollment_id,
        wanted.reason,
        wanted.event_type,
        limit,
    )
    return [_letter(dict(row)) for row in rows]


async def find(transaction: Transaction, letter_id: int) -> DeadLetter:
    """Read one dead letter, without a lock."""
    rows = await transaction.fetch("SELECT * FROM dead_letter WHERE id = $1", letter_id)
    if not rows:
        raise unknown_letter(letter_id)
    return _letter(dict(rows[0]))


def _letter(row: dict[str, Any]) -> DeadLetter:
    pairs = json.loads(row.pop("headers"))
    headers = tuple((name, bytes.fromhex(value)) for name, value in pairs)
    fields = {name: row.pop(name) for name in ("topic", "partition", "offset", "key", "value")}
    return DeadLetter(message=Message(headers=headers, **fields), **row)


class PostgresLetters:
    """The Letters of shared.dead_letter, inside a transaction that the caller commits."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def queue_of(self, letter_id: int) -> list[DeadLetter]:
        """Lock and read a dead letter and those of its enrollment and topic, oldest first."""
        rows = await self._transaction.fetch(
            """
            SELECT other.* FROM dead_letter AS one JOIN dead_letter AS other
                ON other.id = one.id OR (one.holds AND other.holds AND other.topic = one.topic
                                         AND other.enrollment_id = one.enrollment_id)
            WHERE one.id = $1 ORDER BY other.id FOR UPDATE OF other
            """,
            letter_id,
        )
        if not rows:
            raise unknown_letter(letter_id)
        return [_letter(dict(row)) for row in rows]

    async def delete(self, letter_id: int) -> None:
        """Forget a dead letter."""
        await self._transaction.execute("DELETE FROM dead_letter WHERE id = $1", letter_id)

    async def record(
        self, *, operator: str, action: str, subject: str, detail: str, now: datetime
    ) -> None:
        """Add what an operator did to the audit trail."""
        await audit_trail.record(
            self._transaction,
            operator=operator,
            action=action,
            subject=subject,
            detail=detail,
            now=now,
        )
