"""Reads which types and which values a JSON Schema allows, each as a set."""

from typing import Final

from schemas.comparing.wording import said
from schemas.json_object import JsonObject

_NUMBERS: Final = frozenset({"number", "integer"})
_EVERY_TYPE: Final = _NUMBERS | {"string", "boolean", "null", "array", "object"}
_TYPE_OF: Final = {
    str: "string",
    bool: "boolean",
    type(None): "null",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
}


def value_set(schema: JsonObject) -> frozenset[str] | None:
    """List the values of `enum` and `const`, as JSON; None where any value will do."""
    choices = [schema["enum"]] if "enum" in schema else []
    choices += [[schema["const"]]] if "const" in schema else []
    if not choices:
        return None
    return frozenset.intersection(*(frozenset(map(said, values)) for values in choices))


def type_set(schema: JsonObject) -> frozenset[str]:
    """List the types; a number may be an integer. Without `type`, the values tell."""
    names = _type_names(schema)
    return names | _NUMBERS if "number" in names else names


def _type_names(schema: JsonObject) -> frozenset[str]:
    match schema:
        case {"type": str(name)}:
            return frozenset({name})
        case {"type": [*names]}:
            return frozenset(names)
        case {"enum": [*values]}:
            return frozenset(_TYPE_OF[type(value)] for value in values)
        case {"const": value}:
            return frozenset({_TYPE_OF[type(value)]})
        case _:
            return _EVERY_TYPE
