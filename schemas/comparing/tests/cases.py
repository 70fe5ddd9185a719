"""Pairs of schemas of a field: in the second, fewer values are valid than in the first."""

from typing import Any

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
ARRAY: Schema = {"type": "array", "items": {"type": "string"}}
NULL: Schema = {"type": "null"}

NARROWING: dict[str, tuple[Any, Any]] = {
    "type number to integer": (NUMBER, INTEGER),
    "one of two types": ({"type": ["string", "null"]}, STRING),
    "any type to one": ({}, STRING),
    "any value to an enum": (STRING, {**STRING, "enum": ["a"]}),
    "enum value": ({"enum": ["a", "b"]}, {"enum": ["a"]}),
    "enum to const": ({"enum": ["a", "b"]}, {"const": "b"}),
    "any value to a const": (INTEGER, {**INTEGER, "const": 1}),
    "enum and const": ({"enum": [1, 2]}, {"enum": [1, 2], "const": 2}),
    "minimum": ({**INTEGER, "minimum": 1}, {**INTEGER, "minimum": 2}),
    "new minimum": (NUMBER, {**NUMBER, "minimum": 0}),
    "inclusive to exclusive minimum": (
        {**NUMBER, "minimum": 0},
        {**NUMBER, "exclusiveMinimum": 0},
    ),
    "exclusiveMinimum": ({**NUMBER, "exclusiveMinimum": 1}, {**NUMBER, "exclusiveMinimum": 2}),
    "new exclusiveMinimum": (NUMBER, {**NUMBER, "exclusiveMinimum": 0}),
    "maximum": ({**INTEGER, "maximum": 2**63}, {**INTEGER, "maximum": 2**63 - 1}),
    "new maximum": (NUMBER, {**NUMBER, "maximum": 0}),
    "inclusive to exclusive maximum": (
        {**NUMBER, "maximum": 5},
        {**NUMBER, "exclusiveMaximum": 5},
    ),
    "exclusiveMaximum": ({**NUMBER, "exclusiveMaximum": 2}, {**NUMBER, "exclusiveMaximum": 1}),
    "minLength": ({**STRING, "minLength": 1}, {**STRING, "minLength": 2}),
    "new minLength": (STRING, {**STRING, "minLength": 1}),
    "maxLength": ({**STRING, "maxLength": 2}, {**STRING, "maxLength": 1}),
    "new maxLength": (STRING, {**STRING, "maxLength": 9}),
    "minItems": ({**ARRAY, "minItems": 1}, {**ARRAY, "minItems": 2}),
    "new minItems": (ARRAY, {**ARRAY, "minItems": 1}),
    "maxItems": ({**ARRAY, "maxItems": 2}, {**ARRAY, "maxItems": 1}),
    "new maxItems": (ARRAY, {**ARRAY, "maxItems": 9}),
    "new pattern": (STRING, {**STRING, "pattern": "^a$"}),
    "new format": (STRING, {**STRING, "format": "uuid"}),
    "new uniqueItems": (ARRAY, {**ARRAY, "uniqueItems": True}),
    "uniqueItems": ({**ARRAY, "uniqueItems": False}, {**ARRAY, "uniqueItems": True}),
    "items": (ARRAY, {"type": "array", "items": {"type": "string", "maxLength": 1}}),
    "any items to some": ({"type": "array"}, ARRAY),
    "null": ({"anyOf": [STRING, NULL]}, STRING),
    "one alternative": ({"anyOf": [STRING, NULL, INTEGER]}, {"anyOf": [INTEGER, STRING]}),
    "inside an alternative": (
        {"anyOf": [STRING, NULL]},
        {"anyOf": [{**STRING, "maxLength": 1}, NULL]},
    ),
    "inside both alternatives": (
        {"anyOf": [STRING, NUMBER]},
        {"anyOf": [{**STRING, "maxLength": 1}, INTEGER]},
    ),
    "a type to one of its parts, beside null": (
        {"anyOf": [NUMBER, NULL]},
        {"anyOf": [INTEGER, NULL]},
    ),
}

# Neither is contained in the other, or nobody can tell: breaking for whoever writes it.
ALTERING: dict[str, tuple[Any, Any]] = {
    "type": (STRING, INTEGER),
    "pattern": ({**STRING, "pattern": "^a$"}, {**STRING, "pattern": "^a+$"}),
    "format": ({**STRING, "format": "uuid"}, {**STRING, "format": "date-time"}),
    "enum": ({"enum": ["a", "b"]}, {"enum": ["b", "c"]}),
    "enum of numbers and of truths": ({"enum": [1]}, {"enum": [True]}),
    "range": (
        {**INTEGER, "minimum": 0, "maximum": 5},
        {**INTEGER, "minimum": 1, "maximum": 6},
    ),
    "alternative": ({"anyOf": [STRING, NULL]}, {"anyOf": [STRING, INTEGER]}),
    "both alternatives": ({"anyOf": [STRING, NULL]}, {"anyOf": [INTEGER, {"type": "boolean"}]}),
    "unknown keyword": (INTEGER, {**INTEGER, "multipleOf": 5}),
    "value of an unknown keyword": ({"allOf": [STRING]}, {"allOf": [INTEGER]}),
    "unknown keyword that was null": ({"contains": None}, {}),
    "closed": ({"type": "object"}, {"type": "object", "additionalProperties": False}),
    "false to a type": (False, STRING),
    "keywords beside anyOf": ({"anyOf": [STRING, NULL]}, {"anyOf": [STRING, NULL], "not": NULL}),
    "items as a list": ({"items": [STRING]}, {"items": [INTEGER]}),
}

SAME: dict[str, tuple[Any, Any]] = {
    "nothing": ({**STRING, "pattern": "^a$"}, {**STRING, "pattern": "^a$"}),
    "annotations": (
        {**STRING, "title": "A", "description": "B", "examples": ["c"]},
        {**STRING, "title": "X", "deprecated": True, "$comment": "y"},
    ),
    "an unknown keyword that stayed": ({"allOf": [STRING]}, {"allOf": [STRING]}),
    "order of values": ({"enum": ["a", "b"]}, {"enum": ["b", "a"]}),
    "order of types": ({"type": ["string", "null"]}, {"type": ["null", "string"]}),
    "order of alternatives": ({"anyOf": [STRING, NULL]}, {"anyOf": [NULL, STRING]}),
    "an alternative that is part of another": (
        {"anyOf": [STRING, NULL]},
        {"anyOf": [STRING, NULL, {**STRING, "maxLength": 1}]},
    ),
    "alternatives with another title": (
        {"anyOf": [STRING, NULL], "title": "A"},
        {"anyOf": [STRING, NULL], "title": "B", "description": "C"},
    ),
    "alternatives that are described": (
        {"anyOf": [STRING, NULL]},
        {"anyOf": [{**STRING, "title": "A"}, {**NULL, "title": "B"}]},
    ),
    "const for an enum of one": ({"enum": ["a"]}, {"const": "a"}),
    "type that the values tell": ({"enum": ["a", None]}, {"enum": [None, "a"]}),
    "type beside its const": ({"const": 1.5}, {"const": 1.5, "type": ["integer", "number"]}),
    "no least length": (STRING, {**STRING, "minLength": 0}),
    "no least count": (ARRAY, {**ARRAY, "minItems": 0}),
    "equal items as before": (ARRAY, {**ARRAY, "uniqueItems": False}),
    "weaker of two bounds": (
        {**NUMBER, "minimum": 3},
        {**NUMBER, "minimum": 3, "exclusiveMinimum": 1},
    ),
    "any items": ({"type": "array"}, {"type": "array", "items": True}),
}
