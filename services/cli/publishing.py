"""Writes events to topics that outside systems may write, and waits until Kafka has them."""

import logging
import time
from typing import Final

from confluent_kafka import KafkaError, Message, Producer
from pydantic import ValidationError

from services.cli.output import CliError
from services.cli.target import Target
from shared.choreography import TOPIC_OF
from shared.clock import system_clock
from shared.codec import describe, encode_body, encode_headers
from shared.events import (
    EnrollmentCancellationRequested,
    EnrollmentEvent,
    EnrollmentRequested,
)
from shared.identifiers import new_event_id

LOGGER: Final = logging.getLogger(__name__)
DELIVERY_SECONDS: Final = 10.0
FLUSH_SECONDS: Final = 0.2  # Ctrl-C is noticed between two flushes
SOURCE: Final = "enroll"


def valid_request(**fields: object) -> EnrollmentRequested:
    """Make a request, or say which option is wrong."""
    try:
        return EnrollmentRequested.model_validate(fields)
    except ValidationError as error:
        raise _invalid(error) from None


def valid_cancel(**fields: object) -> EnrollmentCancellationRequested:
    """Make a cancel, or say which option is wrong."""
    try:
        return EnrollmentCancellationRequested.model_validate(fields)
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> CliError:
    return CliError(f"this is not a valid request: {'; '.join(describe(error))}")


def publish(target: Target, event: EnrollmentEvent) -> None:
    """Write one event; returns when every replica that must have it has it."""
    errors: list[KafkaError] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            errors.append(error)

    producer = Producer(_settings(target.kafka_url), logger=LOGGER)
    producer.produce(
        TOPIC_OF[type(event)].name,
        encode_body(event),
        key=event.student_id,
        headers=encode_headers(
            event_id=new_event_id(),
            event_type=type(event).__name__,
            source=SOURCE,
            subject=str(event.enrollment_id),
            occurred_at=system_clock(),
            traceparent=None,  # the enrollment service begins the trace
        ),
        on_delivery=delivered,
    )
    if not _flush(producer) or errors:
        why = errors[0].str() if errors else f"no answer within {DELIVERY_SECONDS:.0f} s"
        raise CliError(
            f"Kafka at {target.kafka_url} did not confirm the event ({why}): see `enroll status`, "
            f"then repeat it, which is safe for the same enrollment ({event.enrollment_id})"
        )


def _settings(kafka_url: str) -> dict[str, str | int | float | bool]:
    return {
        "bootstrap.servers": kafka_url,
        "enable.idempotence": True,
        "acks": "all",
        "message.timeout.ms": int(DELIVERY_SECONDS * 1000),
        "partitioner": "murmur2_random",
        "linger.ms": 0,
        "log_level": 2,
    }


def _flush(producer: Producer) -> bool:
    deadline = time.monotonic() + DELIVERY_SECONDS + 1
    while producer.flush(FLUSH_SECONDS):
        if time.monotonic() > deadline:
            return False
    return True
