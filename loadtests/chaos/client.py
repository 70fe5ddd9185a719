"""The load client: sends on schedule whatever happens, and keeps a log of its own."""

import json
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from time import time
from typing import Any, Final, assert_never

from confluent_kafka import Consumer, Producer, TopicPartition

from loadtests.chaos.client_log import Log, Sent
from loadtests.chaos.workload import TERM, Asks, Message
from loadtests.day.collector import OUTCOMES
from loadtests.day.kafka import (
    consumer_settings,
    end_offsets,
    partitions_of,
    producer_settings,
    raise_if_failed,
)
from shared.choreography import ENROLLMENT_EVENTS, REQUESTS
from shared.codec import encode_headers
from shared.errors import EnrollmentSystemError
from shared.events import EnrollmentCancellationRequested, EnrollmentRequested

SOURCE: Final = "/loadtests/chaos"
READ_AT_ONCE: Final = 1000
TICK_SECONDS: Final = 0.005
BURST_MAX: Final = 200
CLOSE_SECONDS: Final = 20.0
FLUSH_SECONDS: Final = 1.0
# A client that is slow to come back would be measured in place of the system.
COMES_BACK_SOON: Final = {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 200}
# The client never gives up what it has sent: the broker takes it, sooner or later.
NEVER_GIVES_UP: Final = {"message.timeout.ms": 0, "linger.ms": 2}
EVENT_TYPES: Final = {
    Asks.SEATS: EnrollmentRequested.__name__,
    Asks.CANCEL: EnrollmentCancellationRequested.__name__,
}


class ClientError(EnrollmentSystemError):
    """The load cannot go on."""


class Client(threading.Thread):
    """Sends the messages at their times, counted from its start, and hears the outcomes.

    It reads and writes on a thread of its own, which alone touches the log until it has ended;
    `failure` is what ended it early.
    """

    def __init__(self, kafka_url: str, messages: Iterable[Message]) -> None:
        super().__init__(name="client", daemon=True)
        self.log = Log()
        self.failure: BaseException | None = None
        self.has_sent_all = False
        self.oldest_unanswered_at: float | None = None
        self.unacknowledged = 0
        self._messages: Iterator[Message] = iter(messages)
        self._next = next(self._messages, None)
        self._stopping = threading.Event()
        self._is_closing = threading.Event()
        self._producer: Any = Producer(
            producer_settings(kafka_url) | NEVER_GIVES_UP | COMES_BACK_SOON
        )
        self._consumer: Any = Consumer(consumer_settings(kafka_url) | COMES_BACK_SOON)
        partitions_of(self._producer, REQUESTS.name)
        ends = end_offsets(self._consumer, ENROLLMENT_EVENTS.name)
        self._consumer.assign([TopicPartition(*place, end) for place, end in ends.items()])

    def run(self) -> None:
        """Send and hear until stopped."""
        self._began_at = time()
        try:
            while not self._stopping.is_set():
                self._step()
        except Exception as error:  # noqa: BLE001  kept for whoever waits for this thread
            self.failure = error
        finally:
            self._consumer.close()
            self._producer.purge()  # else the library would wait for what was never acknowledged
            self._producer.flush(FLUSH_SECONDS)

    def send_no_more(self) -> None:
        """Leave out what has not been sent, and go on hearing."""
        self._is_closing.set()

    def stop(self) -> Log:
        """End, and give the log."""
        self._stopping.set()
        self.join(CLOSE_SECONDS)
        self.raise_if_failed()
        if self.is_alive():
            raise ClientError(f"the load client does not end within {CLOSE_SECONDS:.0f} s")
        return self.log

    def raise_if_failed(self) -> None:
        """Tell what ended it early."""
        if self.failure is not None:
            raise ClientError(f"the load client failed: {self.failure!r}") from self.failure

    @property
    def is_done(self) -> bool:
        """Tell whether Kafka has acknowledged everything."""
        return self.has_sent_all and self.unacknowledged == 0

    def news(self) -> str:
        """Say how far it is."""
        return (
            f"sent {self.sent:,}, {self.unacknowledged:,} not acknowledged, "
            f"decided {self.decided:,}"
        )

    def late_seconds(self) -> float:
        """Tell how old the oldest request is that has no answer."""
        asked_at = self.oldest_unanswered_at
        return 0.0 if asked_at is None else time() - asked_at

    @property
    def sent(self) -> int:
        """Count the messages that were handed over to the client library."""
        return len(self.log.sent)

    @property
    def decided(self) -> int:
        """Count the enrollments with an outcome."""
        return len(self.log.decided_at)

    def _step(self) -> None:
        self._send_due()
        self._producer.poll(0)
        records = self._consumer.consume(READ_AT_ONCE, TICK_SECONDS)
        now = time()
        for record in records:
            self._hear(record, now)
        self.oldest_unanswered_at = next(iter(self.log.unanswered.values()), None)

    def _send_due(self) -> None:
        if self._is_closing.is_set():
            self._next = None
        for _ in range(BURST_MAX):
            message, now = self._next, time()
            if message is None or message.at_seconds > now - self._began_at:
                break
            if not self._send(message, now):
                break
            self._next = next(self._messages, None)
        self.has_sent_all = self._next is None

    def _send(self, message: Message, now: float) -> bool:
        line = Sent(message, now)
        try:
            self._producer.produce(
                REQUESTS.name,
                body_of(message),
                message.student_id.encode(),
                headers=_headers(message),
                on_delivery=lambda error, record: self._delivered(line, error, record),
            )
        except BufferError:  # full: it is due again in a moment
            return False
        self.unacknowledged += 1
        self.log.note_sent(line)
        return True

    def _delivered(self, line: Sent, error: Any, record: Any) -> None:
        self.unacknowledged -= 1
        if error is not None:
            line.error = str(error)
            return
        line.acknowledged_at = time()
        line.place = (record.partition(), record.offset())

    def _hear(self, record: Any, now: float) -> None:
        if record.error() is not None:
            raise_if_failed(record)
            return
        headers = dict(record.headers() or ())
        outcome = OUTCOMES.get(headers.get("ce_type", b""))
        if outcome is not None:
            self.log.note_outcome(headers["ce_subject"].decode(), outcome, now)


def body_of(message: Message) -> bytes:
    """Write the body of a message."""
    ids = {"enrollment_id": str(message.enrollment_id), "student_id": message.student_id}
    match message.asks:
        case Asks.SEATS:
            return json.dumps({**ids, "term": TERM, "sections": message.sections}).encode()
        case Asks.CANCEL:
            return json.dumps(ids).encode()
        case unreachable:
            assert_never(unreachable)


def _headers(message: Message) -> list[tuple[str, Any]]:
    return encode_headers(
        event_id=message.event_id,
        event_type=EVENT_TYPES[message.asks],
        source=SOURCE,
        subject=str(message.enrollment_id),
        occurred_at=datetime.now(UTC),
        traceparent=None,
    )
