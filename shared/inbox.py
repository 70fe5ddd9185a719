"""The dedup table: which events of our own topics this service has taken already."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from shared.database import Transaction
from shared.identifiers import EventId, in_lock_order

RETENTION_DAYS: Final = 21  # the topics' 7 days, and an event that waited 14 days unpublished
AHEAD_DAYS: Final = 7
RENEWAL_LOCK: Final = 8_340_117  # one at a time, or two would make the same partition


async def claim(transaction: Transaction, event_ids: Collection[EventId]) -> set[EventId]:
    """Take ids, and return those that nobody had taken; the rest are duplicates.

    Sorted, since batches of two processes may overlap and would deadlock otherwise. Waits where
    another transaction is taking the same id. READ COMMITTED only.
    """
    rows = await transaction.fetch(
        """
        INSERT INTO inbox (event_id) SELECT unnest($1::uuid[])
        ON CONFLICT DO NOTHING RETURNING event_id
        """,
        in_lock_order(set(event_ids)),
    )
    return {row["event_id"] for row in rows}


def day_bounds(day: datetime) -> tuple[UUID, UUID]:
    """Give the first UUIDv7 of a day and the first of the next (RFC 9562: 48 bits of ms)."""
    start = day.replace(hour=0, minute=0, second=0, microsecond=0)
    first, after = (int(d.timestamp() * 1000) << 80 for d in (start, start + timedelta(days=1)))
    return UUID(int=first), UUID(int=after)


async def renew_partitions(transaction: Transaction, now: datetime) -> None:
    """Make the partitions of the coming days and drop those that have outlived the retention.

    An id outside all of them goes to the default partition, which is never dropped.
    """
    await transaction.execute("SELECT pg_advisory_xact_lock($1)", RENEWAL_LOCK)
    rows = await transaction.fetch(
        """
        SELECT inhrelid::regclass::text AS name
        FROM pg_inherits WHERE inhparent = 'inbox'::regclass
        """
    )
    there = {row["name"] for row in rows}
    wanted = {_name(day): day for day in (now + timedelta(days=n) for n in range(AHEAD_DAYS))}
    for name in sorted(wanted.keys() - there):
        await _create(transaction, name, wanted[name])
    oldest = _name(now - timedelta(days=RETENTION_DAYS))
    for name in sorted(there - {"inbox_default"}):
        if name < oldest:
            await transaction.execute(f"DROP TABLE {name}")


def _name(day: datetime) -> str:
    return f"inbox_{day.astimezone(UTC):%Y%m%d}"


async def _create(transaction: Transaction, name: str, day: datetime) -> None:
    first, after = day_bounds(day.astimezone(UTC))
    strays = await transaction.fetch(
        "SELECT FROM inbox_default WHERE event_id >= $1 AND event_id < $2 LIMIT 1", first, after
    )
    if not strays:  # PostgreSQL refuses a partition whose ids the default one holds already
        await transaction.execute(
            f"CREATE TABLE {name} PARTITION OF inbox FOR VALUES FROM ('{first}') TO ('{after}')"
        )
