"""Publishes what clients ask, and waits until Kafka has it."""

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from shared.choreography import TOPIC_OF
from shared.codec import encode_body, encode_headers
from shared.errors import DeliveryFailedError
from shared.events import EnrollmentEvent
from shared.identifiers import NewEventId

LOGGER: Final = logging.getLogger(__name__)
SOURCE: Final = "/services/ingress"
POLL_SECONDS: Final = 0.1
PROBE_SECONDS: Final = 1.0
QUEUED_MAX: Final = 20_000
LINGER_MS: Final = 20  # each partition has a request of its own, whatever is in it

Headers = list[tuple[str, str | bytes | None]]


def ingress_producer_settings(bootstrap_servers: str, timeout_seconds: float) -> dict[str, Any]:
    """Give the settings of the ingress's own producer, which gives up.

    It is not idempotent: a request that comes twice is decided once, whoever repeats it; and an
    idempotent producer could end in a fatal error, after which it would have to be made anew.
    """
    return {
        "bootstrap.servers": bootstrap_servers,
        "acks": "all",
        "message.timeout.ms": int(timeout_seconds * 1000),
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "linger.ms": LINGER_MS,
        "queue.buffering.max.messages": QUEUED_MAX,
        "reconnect.backoff.max.ms": 1000,
        "topic.metadata.refresh.interval.ms": 2000,
        "log_level": 2,
    }


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event on its way, with the trace that it begins or continues."""

    event: EnrollmentEvent
    traceparent: str
    occurred_at: datetime

    def headers(self, new_event_id: NewEventId) -> Headers:
        """Make the headers of CloudEvents' binary mode."""
        return encode_headers(
            event_id=new_event_id(),
            event_type=type(self.event).__name__,
            source=SOURCE,
            subject=str(self.event.enrollment_id),
            occurred_at=self.occurred_at,
            traceparent=self.traceparent,
        )


class Publisher:
    """One producer for all requests of a process; a thread of its own serves its callbacks.

    What was not acknowledged in time may still be in the topic: to publish it again is harmless.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        new_event_id: NewEventId,
        new_client: Callable[[dict[str, Any]], Any] = lambda s: Producer(s, logger=LOGGER),
    ) -> None:
        self._settings = settings
        self._new_event_id = new_event_id
        self._new_client = new_client
        self._stopping = threading.Event()
        self._ended: list[tuple[asyncio.Future[None], KafkaError | None]] = []

    def start(self) -> None:
        """Make the producer; call it on the event loop that will publish."""
        self._loop = asyncio.get_running_loop()
        self._producer = self._new_client(self._settings)
        self._thread = threading.Thread(target=self._serve, name="publisher", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Wait for what is on its way, at most until its time-out, then end the thread."""
        await asyncio.to_thread(self._producer.flush, self._settings["message.timeout.ms"] / 1000)
        self._stopping.set()
        await asyncio.to_thread(self._thread.join)

    async def publish(self, outgoing: Outgoing) -> None:
        """Publish one event and wait for the acknowledgement; raises DeliveryFailedError."""
        acknowledged: asyncio.Future[None] = self._loop.create_future()

        def delivered(error: KafkaError | None, _message: Message) -> None:
            self._ended.append((acknowledged, error))

        try:
            self._producer.produce(
                TOPIC_OF[type(outgoing.event)].name,
                encode_body(outgoing.event),
                key=outgoing.event.student_id.encode(),
                headers=outgoing.headers(self._new_event_id),
                on_delivery=delivered,
            )
        except (BufferError, KafkaException) as error:
            raise DeliveryFailedError(f"not even queued: {error}") from error
        await acknowledged

    async def probe(self) -> None:
        """Raise unless Kafka answers; publishes nothing."""
        try:
            await asyncio.to_thread(self._producer.list_topics, timeout=PROBE_SECONDS)
        except KafkaException as error:
            raise DeliveryFailedError(str(error)) from error

    def _serve(self) -> None:
        """Let callbacks run, and wake the loop once for all that came together."""
        while not self._stopping.is_set():
            self._producer.poll(POLL_SECONDS)
            if self._ended:
                ended, self._ended = self._ended, []
                self._loop.call_soon_threadsafe(_resolve, ended)


def _resolve(ended: list[tuple[asyncio.Future[None], KafkaError | None]]) -> None:
    for acknowledged, error in ended:
        if acknowledged.done():  # whoever waited has gone
            continue
        if error is None:
            acknowledged.set_result(None)
        else:
            acknowledged.set_exception(DeliveryFailedError(error.str()))
