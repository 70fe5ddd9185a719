"""When something came about: by the clock of a service or of the broker, never of a stranger."""

import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from confluent_kafka import (
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    TIMESTAMP_NOT_AVAILABLE,
)
from confluent_kafka import Message as ClientMessage

from shared.codec import encode_headers, logged_ms, occurred_at, raw_headers
from shared.events import Event
from shared.identifiers import new_event_id
from shared.message import Arrival, Message
from shared.reaction import Context, fold
from shared.tests.machinery import Servers, produce, read_topic, validated

NOW = datetime(2026, 1, 12, 9, tzinfo=UTC)
LOGGED = (TIMESTAMP_LOG_APPEND_TIME, 1_768_204_800_250)
LOGGED_AT = datetime(2026, 1, 12, 8, 0, 0, 250_000, tzinfo=UTC)


def own(ce_time: bytes | None) -> Message:
    headers = () if ce_time is None else (("ce_id", b"x"), ("ce_time", ce_time))
    return Message("student.events", 0, 0, None, b"{}", headers)


def test_our_own_events_say_themselves_when_they_came_about() -> None:
    headers = encode_headers(
        event_id=new_event_id(),
        event_type="StudentValidated",
        source="/s",
        subject=str(uuid4()),
        occurred_at=LOGGED_AT,
        traceparent=None,
    )

    at = occurred_at(Message("student.events", 0, 0, None, b"{}", raw_headers(headers), 77))

    assert at == LOGGED_AT


@pytest.mark.parametrize("text", [None, b"", b"soon", b"\xff", b"2026-01-12T08:00:00", b"1"])
def test_a_time_that_is_none_is_left_out(text: bytes | None) -> None:
    assert occurred_at(own(text)) is None


@pytest.mark.parametrize("topic", ["enrollment.requests", "section.catalog", "student.catalog"])
def test_of_what_comes_from_outside_the_brokers_clock_counts_whatever_it_claims(topic: str) -> None:
    claims = (("ce_time", b"1970-01-01T00:00:00+00:00"),)

    logged = Message(topic, 0, 0, None, b"{}", claims, LOGGED[1])
    unknown = Message(topic, 0, 0, None, b"{}", claims)

    assert occurred_at(logged) == LOGGED_AT
    assert occurred_at(unknown) is None


@pytest.mark.parametrize(
    ("topic", "timestamp", "expected"),
    [
        ("enrollment.requests", LOGGED, LOGGED[1]),
        ("enrollment.requests", (TIMESTAMP_CREATE_TIME, 5), None),
        ("enrollment.requests", (TIMESTAMP_NOT_AVAILABLE, 0), None),
        ("enrollment.events", LOGGED, None),
    ],
)
def test_the_brokers_time_is_read_only_where_it_is_needed_and_the_brokers(
    topic: str, timestamp: tuple[int, int], expected: int | None
) -> None:
    record = ClientMessage(topic=topic, value=b"{}", timestamp=timestamp)

    assert logged_ms(record) == expected


def test_the_broker_says_when_it_took_a_request(servers: Servers) -> None:
    mark, before_ms = str(uuid4()), time.time() * 1000
    produce(servers.kafka_url, "enrollment.requests", [mark])

    records = read_topic(servers.kafka_url, "enrollment.requests")

    [logged] = [logged_ms(one) for one in records if one.value() == mark.encode()]
    assert logged is not None
    assert before_ms - 1000 < logged < time.time() * 1000 + 1000


def test_a_reaction_learns_when_its_event_came_about() -> None:
    seen: list[datetime] = []

    def note(_state: None, _event: Event, context: Context) -> tuple[()]:
        seen.append(context.occurred_at)
        return ()

    event, early = validated(), NOW - timedelta(hours=2)
    messages = [own(early.isoformat().encode()), own(None)]
    arrivals = [Arrival(one, new_event_id(), event, None) for one in messages]

    folded = fold(None, arrivals, set(), {type(event): note}, NOW)

    assert folded.parked == []
    assert seen == [early, NOW]


def test_without_a_message_it_comes_about_now() -> None:
    assert Context(NOW, None).occurred_at == NOW
