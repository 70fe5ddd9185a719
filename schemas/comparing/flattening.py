"""Puts into a JSON Schema what its `$ref`s point to, so that two schemas can be walked together."""

from typing import Any, Final

from schemas.json_object import JsonObject

# They say nothing of which values are valid; `default` is looked at where a field is.
ANNOTATIONS: Final = frozenset(
    {"title", "description", "default", "examples", "deprecated", "$comment"}
)
_DEFINITIONS: Final = "#/$defs/"


class CannotCompareError(Exception):
    """Says what in a schema is not understood."""


def flattened(document: JsonObject) -> JsonObject:
    """Copy the schema with each `#/$defs/…` replaced by its definition, and without `$defs`."""
    definitions = document.get("$defs", {})
    schema = {key: value for key, value in document.items() if key != "$defs"}
    flat = _flat(schema, definitions, ())
    assert isinstance(flat, dict)
    return flat


def _flat(node: Any, definitions: JsonObject, inside: tuple[str, ...]) -> Any:
    match node:
        case {"$ref": str(reference)}:
            return _definition(node, reference, definitions, inside)
        case dict():
            return {key: _flat(value, definitions, inside) for key, value in node.items()}
        case list():
            return [_flat(value, definitions, inside) for value in node]
        case _:
            return node


def _definition(
    node: JsonObject, reference: str, definitions: JsonObject, inside: tuple[str, ...]
) -> JsonObject:
    name = reference.removeprefix(_DEFINITIONS)
    beside = {key: value for key, value in node.items() if key != "$ref"}
    if reference == name or name not in definitions:
        raise CannotCompareError(f"$ref {reference} is not a name in $defs")
    if name in inside:
        raise CannotCompareError(f"$ref {reference} contains itself")
    if beside.keys() - ANNOTATIONS:
        raise CannotCompareError(f"$ref {reference} has {', '.join(sorted(beside))} beside it")
    definition = _flat(definitions[name], definitions, (*inside, name))
    if not isinstance(definition, dict):
        raise CannotCompareError(f"$ref {reference} leads to no object")
    return {**definition, **beside}
