"""Makes the schema of a message's headers in binary mode: CloudEvents' attributes and the trace."""

from typing import Final

from schemas.event_schemas import schema_name
from schemas.json_object import JsonObject
from shared.choreography import TOPIC_OF
from shared.events import EnrollmentEvent, Event

TRACEPARENT_PATTERN: Final = "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
DEMANDED: Final = ("ce_specversion", "ce_id", "ce_type", "ce_source")  # by CloudEvents


def header_schema(event_type: type[Event]) -> JsonObject:
    """Say which headers a message has; our services write them all, `traceparent` where traced."""
    is_ours = TOPIC_OF[event_type].writer is not None
    headers: dict[str, JsonObject] = {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {"type": "string", "format": "uuid", "description": "names this event"},
        "ce_type": {"type": "string", "const": event_type.__name__},
        "ce_source": {"type": "string", "minLength": 1, "description": "who wrote it"},
        "ce_subject": {"type": "string", "description": _subject(event_type)},
        "ce_time": {"type": "string", "format": "date-time", "description": "when it was decided"},
        "content-type": {"type": "string", "const": "application/json"},
    }
    optional: dict[str, JsonObject] = {
        "traceparent": {
            "type": "string",
            "pattern": TRACEPARENT_PATTERN,
            "description": "W3C Trace Context, honoured and passed on",
        }
    }
    if not is_ours:
        optional["ce_dataschema"] = {
            "type": "string",
            "pattern": schema_name(event_type).replace(".", r"\.") + "$",
            "description": "may be absent",
        }
    required = list(headers) if is_ours else list(DEMANDED)
    return {"type": "object", "properties": headers | optional, "required": required}


def _subject(event_type: type[Event]) -> str:
    if issubclass(event_type, EnrollmentEvent):
        return "the enrollment_id"
    return "the message's key"
