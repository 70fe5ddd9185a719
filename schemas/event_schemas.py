"""Makes the JSON Schema of an event from its model, as those who write it and read it see it."""

from typing import Any, Final, Literal

from pydantic.json_schema import GenerateJsonSchema

from schemas.json_object import JsonObject
from shared.choreography import TOPIC_OF
from shared.events import Event

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema_name(event_type: type[Event]) -> str:
    """Name the file; a CloudEvent's `dataschema` ends in it."""
    return f"{event_type.__name__}.v1.json"


def schema_id(event_type: type[Event]) -> str:
    """Make the `$id`, which is a name and no address."""
    return f"urn:enrollment-saga:{schema_name(event_type)}"


def event_schema(event_type: type[Event]) -> JsonObject:
    """Say what outside systems may write, or what our services do write."""
    is_ours = TOPIC_OF[event_type].writer is not None
    mode: Literal["serialization", "validation"] = "serialization" if is_ours else "validation"
    schema = event_type.model_json_schema(schema_generator=_WithoutTitles, mode=mode)
    return {
        "$schema": DIALECT,
        "$id": schema_id(event_type),
        **(_without_nulls(schema) if is_ours else schema),
    }


class _WithoutTitles(GenerateJsonSchema):
    """Leaves out the titles of fields, which only repeat their names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  pydantic's signature
        return False


def _without_nulls(schema: JsonObject) -> JsonObject:
    """Our services leave absent values out and write all others: a field that may be absent is
    not required and never null, and one with a default is always there.
    """
    models = [schema, *schema.get("$defs", {}).values()]
    for model in models:
        fields = model.get("properties", {})
        if fields:
            model["required"] = [name for name, field in fields.items() if not _may_be_null(field)]
            model["properties"] = {name: _not_null(field) for name, field in fields.items()}
    return schema


def _may_be_null(field: JsonObject) -> bool:
    return {"type": "null"} in field.get("anyOf", ())


def _not_null(field: JsonObject) -> JsonObject:
    if not _may_be_null(field):
        return field
    others = [branch for branch in field["anyOf"] if branch != {"type": "null"}]
    rest = {key: value for key, value in field.items() if key not in {"anyOf", "default"}}
    return {**others[0], **rest} if len(others) == 1 else {"anyOf": others, **rest}
