import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka import Message as ClientMessage

from services.cli import publishing
from services.cli.output import CliError
from services.cli.publishing import publish, valid_cancel, valid_request
from services.cli.target import Target
from shared.codec import decode, raw_headers
from shared.events import EnrollmentCancellationRequested, EnrollmentRequested
from shared.message import Arrival, Message

READ_SECONDS = 20.0
PARTITIONS = 4


def read_back(target: Target, enrollment_id: UUID) -> ClientMessage:
    """Find the one message of an enrollment in the topic."""
    consumer = Consumer({"bootstrap.servers": target.kafka_url, "group.id": "test-publishing"})
    consumer.assign([TopicPartition("enrollment.requests", n, 0) for n in range(PARTITIONS)])
    deadline = time.monotonic() + READ_SECONDS
    try:
        while time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is not None and headers_of(message).get("ce_subject") == str(enrollment_id):
                return message
    finally:
        consumer.close()
    raise AssertionError(f"no message of {enrollment_id} within {READ_SECONDS} s")


def headers_of(message: ClientMessage) -> dict[str, str]:
    return {name: value.decode() for name, value in raw_headers(message.headers())}


def message_of(found: ClientMessage) -> Message:
    value = found.value()
    assert isinstance(value, bytes)
    return Message("enrollment.requests", 0, 0, None, value, raw_headers(found.headers()))


def a_request(**changes: Any) -> EnrollmentRequested:
    fields = {"enrollment_id": uuid4(), "student_id": "s-1", "term": "t", "sections": ["a", "b"]}
    return valid_request(**(fields | changes))


async def test_a_request_goes_out_exactly_as_the_contract_says(target: Target) -> None:
    event = a_request(deadline_seconds=5.0)
    before = datetime.now(UTC)

    publish(target, event)

    found = read_back(target, event.enrollment_id)
    headers = headers_of(found)
    assert list(headers) == [
        "ce_specversion",
        "ce_id",
        "ce_type",
        "ce_source",
        "ce_subject",
        "ce_time",
        "content-type",
    ]
    assert headers["ce_specversion"] == "1.0"
    assert headers["ce_type"] == "EnrollmentRequested"
    assert headers["content-type"] == "application/json"
    assert UUID(headers["ce_id"]) != event.enrollment_id
    assert abs(datetime.fromisoformat(headers["ce_time"]) - before) < timedelta(minutes=1)
    assert found.key() == b"s-1"


async def test_a_request_is_read_as_it_was_meant(target: Target) -> None:
    event = a_request(deadline_seconds=5.0)

    publish(target, event)

    arrival = decode(message_of(read_back(target, event.enrollment_id)), [EnrollmentRequested])
    assert isinstance(arrival, Arrival)
    assert arrival.event == event


async def test_a_cancel_is_read_as_it_was_meant(target: Target) -> None:
    event = valid_cancel(enrollment_id=uuid4(), student_id="s-1", reason="moved away")

    publish(target, event)

    message = message_of(read_back(target, event.enrollment_id))
    arrival = decode(message, [EnrollmentCancellationRequested])
    assert isinstance(arrival, Arrival)
    assert arrival.event == event


def test_an_unconfirmed_request_ends_in_time_and_says_how_to_repeat_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publishing, "DELIVERY_SECONDS", 1.0)
    event = a_request()
    began = time.monotonic()

    with pytest.raises(CliError, match=f"repeat it.*{event.enrollment_id}"):
        publish(Target("127.0.0.1:1", {}), event)

    assert time.monotonic() - began < 10
