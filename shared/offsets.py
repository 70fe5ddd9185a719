"""Offsets in the service's own database, moved in the transaction of the batch they belong to."""

from collections.abc import Mapping

from shared.database import Transaction
from shared.errors import StaleBatchError
from shared.identifiers import PartitionKey
from shared.message import Move


async def advance(transaction: Transaction, moves: Mapping[PartitionKey, Move]) -> None:
    """Move the offsets, or raise StaleBatchError where another process has moved one.

    A partition without a row is at offset 0, or wherever its log begins: whoever expects more
    has read it for a database that knew more, and must begin again.
    """
    keys = sorted(moves)
    rows = await transaction.fetch(
        """
        INSERT INTO consumer_offset AS o (topic, partition, next_offset)
        SELECT topic, partition, next_offset
        FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[])
            AS wanted (topic, partition, next_offset, expected)
        WHERE expected = 0 OR EXISTS (
            SELECT FROM consumer_offset AS there
            WHERE (there.topic, there.partition) = (wanted.topic, wanted.partition))
        ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset
        WHERE o.next_offset =
            ($4::bigint[])[array_position($5::text[], o.topic || '/' || o.partition)]
        RETURNING topic
        """,
        [key.topic for key in keys],
        [key.partition for key in keys],
        [moves[key].next for key in keys],
        [moves[key].expected for key in keys],
        [f"{key.topic}/{key.partition}" for key in keys],
    )
    if len(rows) != len(keys):
        raise StaleBatchError("another process has read these partitions further: batch dropped")


async def read(transaction: Transaction) -> dict[PartitionKey, int]:
    """Read the next offset of every partition that this service has ever read."""
    rows = await transaction.fetch("SELECT topic, partition, next_offset FROM consumer_offset")
    return {PartitionKey(row["topic"], row["partition"]): row["next_offset"] for row in rows}
