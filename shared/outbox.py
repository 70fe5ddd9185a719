"""The local outbox: events wait here, in the transaction that made them, for the relay."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from shared.choreography import TOPIC_OF
from shared.codec import encode_body
from shared.database import Transaction
from shared.events import EnrollmentEvent
from shared.identifiers import EventId, NewEventId
from shared.message import Emitted

COLUMNS: Final = (
    "event_id",
    "event_type",
    "topic",
    "key",
    "subject",
    "occurred_at",
    "traceparent",
    "body",
)


class OutboxRow(NamedTuple):
    """An event on its way out; `id` gives the order in which the events of a row were made."""

    id: int
    event_id: EventId
    event_type: str
    topic: str
    key: str
    subject: str
    occurred_at: datetime
    traceparent: str | None
    body: bytes


async def append(
    transaction: Transaction, emitted: Sequence[Emitted], now: datetime, new_event_id: NewEventId
) -> None:
    """Add events, in order. Call it while the rows they tell of are locked.

    The identity column is counted under those locks, so that for each enrollment the order of
    ids is the order of commits.
    """
    records = [record_of(one, now, new_event_id()) for one in emitted]
    if records:
        await transaction.copy("outbox", COLUMNS, records)


def record_of(emitted: Emitted, now: datetime, event_id: EventId) -> tuple[Any, ...]:
    """Make what COLUMNS says of an event."""
    event = emitted.event
    assert isinstance(event, EnrollmentEvent)  # the services write no catalog
    topic = TOPIC_OF[type(event)].name
    body = encode_body(event)
    subject = str(event.enrollment_id)
    event_type = type(event).__name__
    return (
        event_id,
        event_type,
        topic,
        event.student_id,
        subject,
        now,
        emitted.traceparent,
        body,
    )


async def oldest(transaction: Transaction, limit: int) -> list[OutboxRow]:
    """Read the lowest ids that are visible.

    No cursor: a transaction may commit a lower id late, and it must not be passed over.
    """
    rows = await transaction.fetch(
        """
        SELECT id, event_id, event_type, topic, key, subject, occurred_at, traceparent, body
        FROM outbox ORDER BY id LIMIT $1
        """,
        limit,
    )
    return [OutboxRow(*row) for row in rows]


async def delete(transaction: Transaction, ids: Sequence[int]) -> None:
    """Forget rows that the broker has acknowledged, in a transaction of its own.

    It does not wait for the disk: a row whose deletion a crash undoes is published once more.
    """
    await transaction.execute(
        """
        DELETE FROM outbox WHERE id = ANY($1::bigint[])
        AND (SELECT set_config('synchronous_commit', 'off', true)) = 'off'
        """,
        ids,
    )


async def depth(transaction: Transaction, limit: int) -> tuple[int, datetime | None]:
    """Count the waiting events, up to a limit, and tell when the oldest was made."""
    rows = await transaction.fetch(
        """
        SELECT count(*) AS depth, min(occurred_at) AS oldest
        FROM (SELECT occurred_at FROM outbox ORDER BY id LIMIT $1) AS waiting
        """,
        limit,
    )
    return rows[0]["depth"], rows[0]["oldest"]
