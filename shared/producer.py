"""The relay's Kafka producer: idempotent, endless, and confirmed batch by batch."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, Message, Producer

from shared.codec import encode_headers
from shared.errors import DeliveryFailedError, NotDeliveredError
from shared.outbox import OutboxRow

LOGGER: Final = logging.getLogger(__name__)
FLUSH_SECONDS: Final = 1.0


def producer_settings(bootstrap_servers: str) -> dict[str, Any]:
    """Give the settings; a local time-out would drop one event and let younger ones pass."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "enable.idempotence": True,
        "acks": "all",
        "message.timeout.ms": 0,
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "linger.ms": 1,
        "reconnect.backoff.max.ms": 1000,
        "log_level": 2,
    }


def headers_of_row(row: OutboxRow, source: str) -> list[tuple[str, str | bytes | None]]:
    """Make the headers that a row goes out with."""
    return encode_headers(
        event_id=row.event_id,
        event_type=row.event_type,
        source=source,
        subject=row.subject,
        occurred_at=row.occurred_at,
        traceparent=row.traceparent,
    )


class BatchProducer:
    """Publishes one batch at a time, in order; not for use from several tasks."""

    def __init__(self, bootstrap_servers: str, source: str) -> None:
        self._source = source
        self._producer = Producer(producer_settings(bootstrap_servers), logger=LOGGER)
        self._errors: list[KafkaError] = []

    def send(self, rows: Sequence[OutboxRow]) -> None:
        """Hand rows to the client library, in order; nothing is confirmed yet."""
        for row in rows:
            self._producer.produce(
                row.topic,
                row.body,
                key=row.key,
                headers=headers_of_row(row, self._source),
                on_delivery=self._delivered,
            )

    async def flush(self) -> None:
        """Wait until all that was sent is acknowledged, at most FLUSH_SECONDS.

        Raises NotDeliveredError when it is not: then flush again. Raises DeliveryFailedError when
        it never will be: then throw the producer away.
        """
        left = await asyncio.to_thread(self._producer.flush, FLUSH_SECONDS)
        errors, self._errors = self._errors, []
        if errors:
            raise DeliveryFailedError(f"{len(errors)} events failed: {errors[0]}")
        if left:
            raise NotDeliveredError(f"{left} events await the broker's acknowledgement")

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._errors.append(error)

    def abandon(self) -> None:
        """Forget what is not delivered: its rows are still in the outbox."""
        self._producer.purge()
        self._producer.flush(0)
