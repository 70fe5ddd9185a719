"""The AsyncAPI document has every topic, event and service, and what it refers to is there."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from schemas.asyncapi import _retention
from schemas.example_events import EXAMPLE_OF
from schemas.messages import example_key
from schemas.publishing import HERE
from schemas.tests.validation import committed, published_schema, validator
from shared.choreography import REACTIONS, TOPIC_OF, TOPICS, Service, Topic, subscriptions
from shared.events import Event
from shared.topics import PARTITIONS, _settings

DOCUMENT: dict[str, Any] = committed("asyncapi.json")
EVENTS = list(TOPIC_OF)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for value in node:
            yield from references(value)
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)


def resolved(reference: str) -> Any:
    if not reference.startswith("#/"):
        return json.loads((HERE / reference).read_text(encoding="utf-8"))
    node: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return resolved(node["$ref"]) if "$ref" in node else node


def events_of(operation: dict[str, Any]) -> set[str]:
    return {resolved(message["$ref"])["name"] for message in operation["messages"]}


def operations(service: Service, action: str) -> dict[str, set[str]]:
    return {
        resolved(operation["channel"]["$ref"])["address"]: events_of(operation)
        for operation in DOCUMENT["operations"].values()
        if operation["action"] == action and operation["tags"] == [{"name": service.value}]
    }


def names(events: Any) -> set[str]:
    return {event.__name__ for event in events}


def test_it_says_its_version() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert DOCUMENT["info"].keys() >= {"title", "version"}


def test_every_reference_leads_somewhere() -> None:
    found = list(references(DOCUMENT))

    assert len(found) > len(EVENTS)
    assert all(resolved(reference) for reference in found)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_topic_is_a_channel_with_its_events(topic: Topic) -> None:
    channel = DOCUMENT["channels"][topic.name]

    assert channel["address"] == topic.name
    assert channel["messages"].keys() == names(topic.events)
    assert channel["bindings"]["kafka"]["partitions"] == PARTITIONS


def test_there_is_no_other_channel_or_message() -> None:
    assert DOCUMENT["channels"].keys() == {topic.name for topic in TOPICS}
    assert DOCUMENT["components"]["messages"].keys() == names(EVENTS)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_topics_are_made_as_the_document_says(topic: Topic) -> None:
    said = {
        name: value if isinstance(value, int) else ",".join(value)
        for name, value in _retention(topic).items()
    }

    assert {name: str(value) for name, value in said.items()}.items() <= _settings(topic).items()


@pytest.mark.parametrize("service", Service)
def test_every_service_sends_what_it_writes(service: Service) -> None:
    written = {topic.name: names(topic.events) for topic in TOPICS if topic.writer is service}

    assert operations(service, "send") == written


@pytest.mark.parametrize("service", Service)
def test_every_service_receives_what_it_reacts_to(service: Service) -> None:
    wanted = {r.on for r in REACTIONS if r.service is service and isinstance(r.on, type)}
    read = {
        topic.name: names(wanted.intersection(topic.events)) for topic in subscriptions(service)
    }

    assert operations(service, "receive") == read


def test_every_operation_is_of_a_service() -> None:
    counted = [operations(s, action) for s in Service for action in ("send", "receive")]

    assert sum(map(len, counted)) == len(DOCUMENT["operations"])


@pytest.mark.parametrize("event_type", EVENTS)
def test_a_message_has_its_schema_and_a_valid_example(event_type: type[Event]) -> None:
    message = DOCUMENT["components"]["messages"][event_type.__name__]

    assert resolved(message["payload"]["$ref"]) == published_schema(event_type)
    for example in message["examples"]:
        validator(message["headers"]).validate(example["headers"])
        validator(published_schema(event_type)).validate(example["payload"])


@pytest.mark.parametrize("event_type", EVENTS)
def test_the_headers_on_the_wire_are_described(event_type: type[Event]) -> None:
    message = DOCUMENT["components"]["messages"][event_type.__name__]
    written = message["examples"][0]["headers"].keys()
    is_ours = TOPIC_OF[event_type].writer is not None

    required = set(message["headers"]["required"])

    assert written <= message["headers"]["properties"].keys()
    assert required == written - {"traceparent"} if is_ours else required < written


@pytest.mark.parametrize("event_type", EVENTS)
def test_the_example_has_the_key_that_is_described(event_type: type[Event]) -> None:
    message = DOCUMENT["components"]["messages"][event_type.__name__]

    validator(message["bindings"]["kafka"]["key"]).validate(example_key(EXAMPLE_OF[event_type]))
