"""Walks two JSON Schemas together and says what changed in which values are valid."""

from collections.abc import Iterator
from typing import Any, Final

from schemas.comparing.flattening import ANNOTATIONS, CannotCompareError
from schemas.comparing.keywords import KEYWORD_CHECKS, Change, Check, Effect
from schemas.comparing.wording import said, same
from schemas.json_object import JsonObject


def compare(before: Any, after: Any, path: str = "$") -> Iterator[Change]:
    """List the changes from one flattened schema to the other; none if they mean the same."""
    old, new = _as_object(before), _as_object(after)
    if "anyOf" in old or "anyOf" in new:
        yield from _alternatives(old, new, path)
        return
    for check in CHECKS:
        yield from check(old, new, path)


def _as_object(schema: Any) -> JsonObject:
    match schema:
        case True:
            return {}
        case False:
            return {"not": {}}
        case dict():
            return schema
        case _:
            raise CannotCompareError(f"{said(schema)} is no schema")


def _alternatives(old: JsonObject, new: JsonObject, path: str) -> Iterator[Change]:
    if _beside_alternatives(old) != _beside_alternatives(new):
        yield Change(path, "cannot be compared: anyOf has other keywords beside it", Effect.ALTERED)
        return
    olds, news = old.get("anyOf", [old]), new.get("anyOf", [new])
    gone = [one for one in olds if not any(same(one, other) for other in news)]
    come = [one for one in news if not any(same(one, other) for other in olds)]
    if len(gone) == len(come) == 1:
        yield from compare(gone[0], come[0], path)
        return
    for one in gone:
        if not any(_effects(one, other, path) <= {Effect.WIDENED} for other in news):
            yield Change(path, f"no longer takes the alternative {said(one)}", Effect.NARROWED)
    for one in come:
        if not any(_effects(other, one, path) <= {Effect.NARROWED} for other in olds):
            yield Change(path, f"has the new alternative {said(one)}", Effect.WIDENED)


def _beside_alternatives(schema: JsonObject) -> str:
    if "anyOf" not in schema:
        return said({})
    rest = schema.keys() - ANNOTATIONS - {"anyOf"}
    return said({key: schema[key] for key in rest})


def _effects(old: Any, new: Any, path: str) -> set[Effect]:
    return {change.effect for change in compare(old, new, path)}


def _items(old: JsonObject, new: JsonObject, path: str) -> Iterator[Change]:
    if "items" in old or "items" in new:
        yield from compare(old.get("items", True), new.get("items", True), f"{path}[]")


def _fields(old: JsonObject, new: JsonObject, path: str) -> Iterator[Change]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in before:
        where = f"{path}.{name}"
        if name not in after:
            yield Change(where, "was removed: its meaning is lost", Effect.ALTERED)
            continue
        yield from compare(before[name], after[name], where)
        yield from _default(before[name], after[name], where, name in old.get("required", ()))
    others = old.get("additionalProperties", True)
    for name in after.keys() - before.keys() if not same(others, True) else ():
        effect = Effect.WIDENED if same(others, False) else Effect.ALTERED
        yield Change(f"{path}.{name}", "is new, where not every field was allowed", effect)


def _default(old: Any, new: Any, path: str, was_required: bool) -> Iterator[Change]:
    before, after = _as_object(old).get("default"), _as_object(new).get("default")
    if not was_required and not same(before, after):
        what = f"absent meant {said(before)} and means {said(after)} now"
        yield Change(path, what, Effect.ALTERED)


CHECKS: Final[tuple[Check, ...]] = (*KEYWORD_CHECKS, _items, _fields)
