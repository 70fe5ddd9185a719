"""Which changes of a schema break whom: each kind of change, in both directions and nested."""

import re
from typing import Any

import pytest

from schemas.comparing import comparison
from schemas.comparing.compatibility import breaking_changes
from schemas.comparing.keywords import Check
from schemas.comparing.tests.cases import ALTERING, NARROWING, NULL, SAME, STRING, Schema
from shared.choreography import Service

OUTSIDE = None
OURS = Service.ENROLLMENT
BOTH = (OUTSIDE, OURS)


def event(properties: Schema, required: tuple[str, ...] = (), **others: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), **others}


def with_field(field: Any) -> Schema:
    return event({"f": field}, ("f",))


def in_items(field: Any) -> Schema:
    return with_field({"type": "array", "items": field})


def in_object(field: Any) -> Schema:
    return with_field(event({"g": field}, ("g",)))


def behind_ref(field: Any) -> Schema:
    return with_field({"$ref": "#/$defs/F"}) | {"$defs": {"F": field}}


def behind_two_refs_in_items(field: Any) -> Schema:
    model = event({"g": {"$ref": "#/$defs/G"}}, ("g",))
    body = with_field({"type": "array", "items": {"$ref": "#/$defs/F"}})
    return body | {"$defs": {"F": model, "G": field}}


def or_null(field: Any) -> Schema:
    return with_field({"anyOf": [in_object(field), NULL]})


PLACES = {
    "$.f": with_field,
    "$.f[]": in_items,
    "$.f.g": in_object,
    "$.f[].g": behind_two_refs_in_items,
    "$.f.f.g": or_null,
}


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("name", NARROWING)
def test_fewer_valid_values_break_everyone(name: str, path: str) -> None:
    old, new = map(PLACES[path], NARROWING[name])

    for writer in BOTH:
        found = breaking_changes(old, new, writer)
        assert found
        assert all(sentence.startswith(path) for sentence in found)


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("name", NARROWING)
def test_more_valid_values_break_only_those_who_read_what_our_services_write(
    name: str, path: str
) -> None:
    new, old = map(PLACES[path], NARROWING[name])

    found = breaking_changes(old, new, OURS)
    assert found
    assert all(sentence.startswith(path) for sentence in found)
    assert breaking_changes(old, new, OUTSIDE) == []


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("name", ALTERING)
def test_other_valid_values_break_everyone_in_both_directions(name: str, path: str) -> None:
    old, new = map(PLACES[path], ALTERING[name])

    for writer in BOTH:
        assert breaking_changes(old, new, writer)
        assert breaking_changes(new, old, writer)


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("name", SAME)
def test_the_same_valid_values_break_nobody(name: str, path: str) -> None:
    old, new = map(PLACES[path], SAME[name])

    for writer in BOTH:
        assert breaking_changes(old, new, writer) == []
        assert breaking_changes(new, old, writer) == []


@pytest.mark.parametrize("writer", BOTH)
def test_a_new_optional_field_breaks_nobody(writer: Service | None) -> None:
    assert breaking_changes(event({}), event({"f": STRING}), writer) == []


@pytest.mark.parametrize("writer", BOTH)
def test_a_new_required_field_breaks_everyone(writer: Service | None) -> None:
    found = breaking_changes(event({}), event({"f": STRING}, ("f",)), writer)

    assert found == ["$.f: is new and required; what was valid may be refused"]


@pytest.mark.parametrize("writer", BOTH)
@pytest.mark.parametrize("required", [(), ("f",)])
def test_a_removed_field_breaks_everyone(required: tuple[str, ...], writer: Service | None) -> None:
    found = breaking_changes(event({"f": STRING}, required), event({}), writer)

    assert found == ["$.f: was removed: its meaning is lost"]


@pytest.mark.parametrize("writer", BOTH)
def test_a_field_made_required_breaks_everyone(writer: Service | None) -> None:
    found = breaking_changes(event({"f": STRING}), event({"f": STRING}, ("f",)), writer)

    assert found == ["$.f: became required; what was valid may be refused"]


def test_a_field_made_optional_breaks_those_who_read_what_our_services_write() -> None:
    old, new = event({"f": STRING}, ("f",)), event({"f": STRING})

    assert breaking_changes(old, new, OUTSIDE) == []
    assert breaking_changes(old, new, OURS) == [
        "$.f: is no longer required; those who read it may meet what they do not know"
    ]


def test_a_name_that_is_required_and_not_described_counts_too() -> None:
    assert breaking_changes(event({}), event({}, ("f",)), OUTSIDE)
    assert breaking_changes(event({}, ("f",)), event({}), OURS)


def test_fields_are_found_behind_a_ref_in_items() -> None:
    old = behind_two_refs_in_items(event({"h": STRING}, ("h",)))
    new = behind_two_refs_in_items(event({"h": STRING}))

    assert breaking_changes(old, new, OURS)[0].startswith("$.f[].g.h: is no longer required")
    assert breaking_changes(new, old, OUTSIDE)[0].startswith("$.f[].g.h: became required")


@pytest.mark.parametrize("writer", BOTH)
def test_another_meaning_of_an_absent_field_breaks_everyone(writer: Service | None) -> None:
    old, new = event({"f": {**STRING, "default": "a"}}), event({"f": {**STRING, "default": "b"}})

    found = breaking_changes(old, new, writer)

    assert found == ['$.f: absent meant "a" and means "b" now']


@pytest.mark.parametrize("writer", BOTH)
def test_a_default_beside_a_ref_is_seen(writer: Service | None) -> None:
    def document(default: str) -> Schema:
        return event({"f": {"$ref": "#/$defs/F", "default": default}}) | {"$defs": {"F": STRING}}

    assert breaking_changes(document("a"), document("b"), writer)


@pytest.mark.parametrize("writer", BOTH)
def test_a_description_beside_a_ref_breaks_nobody(writer: Service | None) -> None:
    field = {"$ref": "#/$defs/F", "description": "of the field"}

    assert (
        breaking_changes(behind_ref(STRING), behind_ref(STRING) | with_field(field), writer) == []
    )


def test_a_default_for_what_was_always_there_breaks_no_writer() -> None:
    old, new = event({"f": STRING}, ("f",)), event({"f": {**STRING, "default": "b"}})

    assert breaking_changes(old, new, OUTSIDE) == []


@pytest.mark.parametrize("writer", BOTH)
def test_null_as_default_is_no_default(writer: Service | None) -> None:
    old, new = event({"f": STRING}), event({"f": {**STRING, "default": None}})

    assert breaking_changes(old, new, writer) == []


def test_a_new_field_breaks_old_readers_that_allow_no_other() -> None:
    old = event({}, additionalProperties=False)
    new = event({"f": STRING}, additionalProperties=False)

    assert breaking_changes(old, new, OUTSIDE) == []
    assert breaking_changes(old, new, OURS)


@pytest.mark.parametrize("writer", BOTH)
def test_a_new_field_where_all_others_had_a_schema_breaks_everyone(
    writer: Service | None,
) -> None:
    old = event({}, additionalProperties=STRING)
    new = event({"f": STRING}, additionalProperties=STRING)

    assert breaking_changes(old, new, writer) == ["$.f: is new, where not every field was allowed"]


@pytest.mark.parametrize("writer", BOTH)
def test_a_definition_may_be_named_anew_and_put_in_place(writer: Service | None) -> None:
    old, new = behind_ref(STRING), with_field(STRING)

    assert breaking_changes(old, new, writer) == []


RECURSIVE = {"$ref": "#/$defs/F"}
REFS = {
    "to another document": ({"$ref": "other.json#/$defs/F"}, "is not a name in $defs"),
    "to no definition": ({"$ref": "#/$defs/Nobody"}, "is not a name in $defs"),
    "to the document": ({"$ref": "#"}, "is not a name in $defs"),
    "with a bound beside it": ({"$ref": "#/$defs/F", "maxLength": 3}, "has maxLength beside it"),
}


@pytest.mark.parametrize("name", REFS)
@pytest.mark.parametrize("writer", BOTH)
def test_a_ref_that_is_not_understood_cannot_be_compared(name: str, writer: Service | None) -> None:
    field, why = REFS[name]
    old = behind_ref(STRING)
    new = with_field(field) | {"$defs": {"F": STRING}}

    found = breaking_changes(old, new, writer)

    assert len(found) == 1
    assert re.fullmatch(rf"\$: cannot be compared: \$ref \S+ {re.escape(why)}", found[0])
    assert breaking_changes(new, old, writer)


@pytest.mark.parametrize("writer", BOTH)
def test_a_definition_that_contains_itself_cannot_be_compared(writer: Service | None) -> None:
    recursive = behind_ref(event({"f": RECURSIVE}))

    found = breaking_changes(recursive, recursive | {"required": []}, writer)

    assert found == ["$: cannot be compared: $ref #/$defs/F contains itself"]


@pytest.mark.parametrize("writer", BOTH)
def test_a_definition_that_is_no_object_cannot_be_compared(writer: Service | None) -> None:
    assert breaking_changes(behind_ref(STRING), behind_ref(True), writer)


@pytest.mark.parametrize("keyword", ["$id", "$schema"])
@pytest.mark.parametrize("writer", BOTH)
def test_another_name_or_dialect_cannot_be_compared(keyword: str, writer: Service | None) -> None:
    old, new = event({}) | {keyword: "a"}, event({}) | {keyword: "b"}

    found = breaking_changes(old, new, writer)

    assert found == [f"$: cannot be compared: {keyword} changed, and is not understood"]


@pytest.mark.parametrize("writer", BOTH)
def test_an_unchanged_schema_has_no_finding_even_if_it_is_not_understood(
    writer: Service | None,
) -> None:
    odd = behind_ref(event({"f": RECURSIVE, "g": {"multipleOf": 3}}))

    assert breaking_changes(odd, dict(odd), writer) == []


@pytest.mark.parametrize("writer", BOTH)
def test_all_changes_are_listed(writer: Service | None) -> None:
    old = event({"f": STRING, "g": STRING, "h": STRING})
    new = event({"f": {**STRING, "maxLength": 5}, "g": {"type": "null"}})

    paths = {sentence.partition(":")[0] for sentence in breaking_changes(old, new, writer)}

    assert paths == {"$.f", "$.g", "$.h"}


REFUSED = "; what was valid may be refused"
UNKNOWN = "; those who read it may meet what they do not know"
SENTENCES: list[tuple[Schema, Schema, list[str]]] = [
    (
        {**STRING, "minLength": 1},
        {**STRING, "minLength": 2},
        ["minLength 1 became minLength 2" + REFUSED],
    ),
    ({**STRING, "maxLength": 1}, STRING, ["maxLength 1 became no maxLength" + UNKNOWN]),
    (STRING, {**STRING, "pattern": "a"}, ["has the new pattern a" + REFUSED]),
    ({**STRING, "pattern": "a"}, STRING, ["lost its pattern a" + UNKNOWN]),
    ({**STRING, "pattern": "a"}, {**STRING, "pattern": "b"}, ["pattern a became b"]),
    (
        STRING,
        NULL,
        ["no longer takes the type string" + REFUSED, "takes now also the type null" + UNKNOWN],
    ),
    (STRING, {**STRING, "enum": ["b", "a"]}, ['takes now only the values "a", "b"' + REFUSED]),
    ({**STRING, "const": "a"}, STRING, ['takes no longer only the values "a"' + UNKNOWN]),
    ({"enum": ["a", "b", "c"]}, {"enum": ["b"]}, ['no longer takes the value "a", "c"' + REFUSED]),
    ({}, {"uniqueItems": True}, ["must have distinct items now" + REFUSED]),
    ({"uniqueItems": True}, {}, ["may have equal items now" + UNKNOWN]),
    (
        {"anyOf": [STRING, NULL]},
        STRING,
        ['no longer takes the alternative {"type": "null"}' + REFUSED],
    ),
    (STRING, {"anyOf": [STRING, NULL]}, ['has the new alternative {"type": "null"}' + UNKNOWN]),
    (
        {"anyOf": [STRING, NULL]},
        {"anyOf": [STRING, NULL], "not": NULL},
        ["cannot be compared: anyOf has other keywords beside it"],
    ),
    ({}, {"allOf": []}, ["cannot be compared: allOf changed, and is not understood"]),
]


@pytest.mark.parametrize(("old", "new", "sentences"), SENTENCES)
def test_a_sentence_says_what_was_and_what_is(
    old: Schema, new: Schema, sentences: list[str]
) -> None:
    found = breaking_changes(with_field(old), with_field(new), OURS)

    assert found == [f"$.f: {sentence}" for sentence in sentences]


@pytest.mark.parametrize("writer", BOTH)
def test_the_fields_that_a_closed_object_has_already_are_not_new(writer: Service | None) -> None:
    old = event({"f": STRING}, additionalProperties=False)
    new = event({"f": {**STRING, "title": "A"}}, additionalProperties=False)

    assert breaking_changes(old, new, writer) == []


@pytest.mark.parametrize("check", comparison.CHECKS)
def test_every_check_is_needed(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, some change of the tables above would pass."""
    others = tuple(one for one in comparison.CHECKS if one is not check)
    changes = [*NARROWING.values(), *ALTERING.values(), (None, STRING)]
    monkeypatch.setattr(comparison, "CHECKS", others)

    def is_missed(old: Any, new: Any) -> bool:
        before = event({}) if old is None else with_field(old)
        return not breaking_changes(before, with_field(new), OUTSIDE)

    assert any(is_missed(old, new) for old, new in changes)
