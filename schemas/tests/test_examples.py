"""The examples are valid, are read, and look as the services write them."""

import json

import pytest

from schemas.event_schemas import schema_name
from schemas.example_events import EXAMPLE_OF, EXAMPLES
from schemas.messages import example_key
from schemas.tests.validation import committed, published_schema, validator
from shared.choreography import TOPIC_OF
from shared.codec import decode, encode_body
from shared.events import EnrollmentRequested, Event
from shared.message import Arrival, Message

EVENTS = list(TOPIC_OF)


def test_there_is_one_example_of_each_event() -> None:
    assert [type(event) for event in EXAMPLES] == EVENTS


@pytest.mark.parametrize("event_type", EVENTS)
def test_an_example_is_valid(event_type: type[Event]) -> None:
    body = committed(f"examples/{schema_name(event_type)}")

    validator(published_schema(event_type)).validate(body)


@pytest.mark.parametrize("event_type", EVENTS)
def test_an_example_is_read_and_is_written_again_alike(event_type: type[Event]) -> None:
    body = committed(f"examples/{schema_name(event_type)}")

    event = event_type.model_validate_json(json.dumps(body))

    assert event == EXAMPLE_OF[event_type]
    assert json.loads(encode_body(event)) == body


@pytest.mark.parametrize("event_type", EVENTS)
def test_an_example_shows_every_field(event_type: type[Event]) -> None:
    body = committed(f"examples/{schema_name(event_type)}")

    left_out = published_schema(event_type)["properties"].keys() - body.keys()

    assert not left_out, "show every field"


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_a_whole_message_is_accepted(mode: str) -> None:
    shown = committed(f"examples/EnrollmentRequested.{mode}.json")
    message = Message(
        topic=shown["topic"],
        partition=0,
        offset=0,
        key=shown["key"].encode(),
        value=json.dumps(shown["value"]).encode(),
        headers=tuple((name, value.encode()) for name, value in shown["headers"].items()),
    )

    arrival = decode(message, {EnrollmentRequested})

    assert isinstance(arrival, Arrival)
    assert arrival.event == EXAMPLE_OF[EnrollmentRequested]
    assert arrival.traceparent is not None
    assert shown["key"] == example_key(arrival.event)
