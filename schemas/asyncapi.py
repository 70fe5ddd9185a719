"""Describes topics, messages and services as an AsyncAPI document, from the choreography."""

from inspect import getdoc
from typing import Any, Final

from schemas.event_schemas import schema_name
from schemas.json_object import JsonObject
from schemas.message_headers import header_schema
from schemas.messages import example_body, example_headers
from shared.choreography import REACTIONS, SECTION_CATALOG, TOPICS, Service, Topic, subscriptions
from shared.codec import BODY_BYTES_MAX
from shared.events import IDENTIFIER_PATTERN, EnrollmentEvent, Event
from shared.topics import PARTITIONS, RETENTION_MS

BINDING_VERSION: Final = "0.5.0"
CONTENT_TYPE: Final = "application/json"
EVENTS: Final = tuple(event for topic in TOPICS for event in topic.events)

DESCRIPTION: Final = (
    "Students enroll in several sections at once, all or nothing. Three services react to each "
    "other's events; nobody orchestrates them. Events are CloudEvents 1.0 in Kafka's binary mode; "
    "structured mode is read, too. A body has at most "
    f"{BODY_BYTES_MAX} bytes. Fields that a reader does not know are to be ignored."
)


def document() -> JsonObject:
    """Make the whole document; payloads refer to the schema files beside it."""
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Enrollment saga", "version": "1.0.0", "description": DESCRIPTION},
        "defaultContentType": CONTENT_TYPE,
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": {
            name: operation
            for service in Service
            for name, operation in (*_sends(service), *_receives(service))
        },
        "components": {"messages": {event.__name__: _message(event) for event in EVENTS}},
    }


def _channel(topic: Topic) -> JsonObject:
    writer = f"the {topic.writer} service" if topic.writer else "systems outside"
    withdrawal = " An empty value withdraws what its key names." if topic.is_catalog else ""
    return {
        "address": topic.name,
        "description": f"Written by {writer}.{withdrawal}",
        "messages": {e.__name__: _ref("components/messages", e.__name__) for e in topic.events},
        "bindings": _kafka(partitions=PARTITIONS, topicConfiguration=_retention(topic)),
    }


def _retention(topic: Topic) -> JsonObject:
    if topic.is_catalog:
        return {"cleanup.policy": ["compact"], "delete.retention.ms": RETENTION_MS}
    return {"cleanup.policy": ["delete"], "retention.ms": RETENTION_MS}


def _sends(service: Service) -> list[tuple[str, JsonObject]]:
    return [
        (
            f"{service}.sends.{topic.name}",
            {
                "action": "send",
                "summary": f"The {service} service says what it decided.",
                **_to_or_from(service, topic, topic.events),
            },
        )
        for topic in TOPICS
        if topic.writer is service
    ]


def _receives(service: Service) -> list[tuple[str, JsonObject]]:
    return [
        (f"{service}.receives.{topic.name}", _receive(service, topic))
        for topic in subscriptions(service)
    ]


def _receive(service: Service, topic: Topic) -> JsonObject:
    reactions = [r for r in REACTIONS if r.service is service and r.on in topic.events]
    decisions = "; ".join(f"on {_name(r.on)}: {r.decides}" for r in reactions)
    events = tuple(event for event in topic.events if event in {r.on for r in reactions})
    return {
        "action": "receive",
        "summary": f"The {service} service decides.",
        "description": decisions,
        **_to_or_from(service, topic, events),
        "bindings": _kafka(groupId={"type": "string", "const": service.value}),
    }


def _to_or_from(service: Service, topic: Topic, events: tuple[type[Event], ...]) -> JsonObject:
    channel = f"channels/{topic.name}"
    return {
        "tags": [{"name": service.value}],
        "channel": _ref("channels", topic.name),
        "messages": [_ref(f"{channel}/messages", event.__name__) for event in events],
    }


def _message(event: type[Event]) -> JsonObject:
    example = {"headers": example_headers(event), "payload": example_body(event)}
    return {
        "name": event.__name__,
        "summary": getdoc(event),
        "contentType": CONTENT_TYPE,
        "headers": header_schema(event),
        "payload": {"$ref": f"./events/{schema_name(event)}"},
        "examples": [example],
        "bindings": _kafka(key=_key(event)),
    }


def _key(event: type[Event]) -> JsonObject:
    if issubclass(event, EnrollmentEvent) or event not in SECTION_CATALOG.events:
        return {"type": "string", "pattern": IDENTIFIER_PATTERN, "description": "the student_id"}
    identifier = IDENTIFIER_PATTERN.removeprefix("^").removesuffix("$")
    return {
        "type": "string",
        "pattern": f"^{identifier}/{identifier}$",
        "description": "term/section_id",
    }


def _kafka(**binding: Any) -> JsonObject:
    return {"kafka": {**binding, "bindingVersion": BINDING_VERSION}}


def _ref(place: str, name: str) -> JsonObject:
    return {"$ref": f"#/{place}/{name}"}


def _name(on: type[Event] | str) -> str:
    return on if isinstance(on, str) else on.__name__
