"""Compares two JSON Schemas keyword by keyword, as far as no schema is inside another."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from schemas.comparing.choices import type_set, value_set
from schemas.comparing.flattening import ANNOTATIONS
from schemas.comparing.limits import LIMITS
from schemas.comparing.wording import listed, same
from schemas.json_object import JsonObject


class Effect(StrEnum):
    """What a change does to the values that are valid."""

    NARROWED = "narrowed"  # some that were valid are no longer
    WIDENED = "widened"  # some that were invalid are valid now
    ALTERED = "altered"  # they mean something else, or nobody can tell


@dataclass(frozen=True)
class Change:
    """One change, at a path such as `$.reasons[].code`."""

    path: str
    what: str
    effect: Effect


Check = Callable[[JsonObject, JsonObject, str], Iterator[Change]]

UNDERSTOOD: Final = frozenset(
    {"type", "enum", "const", "pattern", "format", "uniqueItems", "items", "properties", "required"}
) | {keyword for limit in LIMITS for keyword in limit.keywords}


def _types(old: JsonObject, new: JsonObject, path: str) -> Iterator[Change]:
    yield from _sets("the type", type_set(old), type_set(new), path)


def _values(old: JsonObject, new: JsonObject, path: str) -> Iterator[Change]:
    before, after = value_set(old), value_set(new)
    if before is not None and after is not None:
        yield from _sets("the value", before, after, path)
    elif after is not None:
        yield Change(path, f"takes now only the values {listed(after)}", Effect.NARROWED)
    elif before is not None:
        yield Change(path, f"takes no longer only the values {listed(before)}", Effect.WIDENED)


def _sets(noun: str, before: frozenset[str], after: frozenset[str], path: str) -> Iterator[Change]:
    if before - after:
        yield Change(path, f"no longer takes {noun} {listed(before - after)}", Effect.NARROWED)
    if after - before:
        yield Change(path, f"takes now also {noun} {listed(after - before)}", Effect.WIDENED)


def _limits(old: JsonObject, new: JsonObject, path: str) -> Iterator[Change]:
    for limit in LIMITS:
        before, after = limit.strictness(old), limit.strictness(new)
        if before != after:
            effect = Effect.NARROWED if after > before else Effect.WIDENED
            yield Change(path, f"{limit.said(old)} became {limit.said(new)}", effect)


def _texts(old: JsonObject, new: JsonObject, path: str) -> Iterator[Change]:
    for keyword in ("pattern", "format"):
        before, after = old.get(keyword), new.get(keyword)
        if before == after:
            continue
        if before is None:
            yield Change(path, f"has the new {keyword} {after}", Effect.NARROWED)
        elif after is None:
            yield Change(path, f"lost its {keyword} {before}", Effect.WIDENED)
        else:
            yield Change(path, f"{keyword} {before} became {after}", Effect.ALTERED)


def _uniqueness(old: JsonObject, new: JsonObject, path: str) -> Iterator[Change]:
    before, after = old.get("uniqueItems", False), new.get("uniqueItems", False)
    if after and not before:
        yield Change(path, "must have distinct items now", Effect.NARROWED)
    if before and not after:
        yield Change(path, "may have equal items now", Effect.WIDENED)


def _required(old: JsonObject, new: JsonObject, path: str) -> Iterator[Change]:
    before, after = set(old.get("required", ())), set(new.get("required", ()))
    fields_before, fields_after = old.get("properties", {}), new.get("properties", {})
    for name in sorted(after - before):
        what = "became required" if name in fields_before else "is new and required"
        yield Change(f"{path}.{name}", what, Effect.NARROWED)
    for name in sorted(before - after):
        if name in fields_after or name not in fields_before:
            yield Change(f"{path}.{name}", "is no longer required", Effect.WIDENED)


def _unknown(old: JsonObject, new: JsonObject, path: str) -> Iterator[Change]:
    for keyword in sorted((old.keys() | new.keys()) - ANNOTATIONS - UNDERSTOOD):
        if keyword not in old or keyword not in new or not same(old[keyword], new[keyword]):
            what = f"cannot be compared: {keyword} changed, and is not understood"
            yield Change(path, what, Effect.ALTERED)


KEYWORD_CHECKS: Final[tuple[Check, ...]] = (
    _types,
    _values,
    _limits,
    _texts,
    _uniqueness,
    _required,
    _unknown,
)
