"""What a set says that is new to the catalogs: only that is published."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from pydantic import ValidationError

from loadtests.day.catalogs import CatalogEntry, Known, key_of
from loadtests.day.kafka import DayError
from shared.codec import BODY_BYTES_MAX, describe, encode_body
from shared.events import StudentPublished, Window
from shared.identifiers import Term


def news(
    entries: Iterable[CatalogEntry], known: Mapping[str, Known], term: Term
) -> Iterator[CatalogEntry]:
    """Give the entries that differ from what is known, with the next version of each.

    What an entry leaves unset stays as it is known; of windows, only those of the term are said.
    Raises DayError where the services could not read what comes of it.
    """
    for said in entries:
        before = known.get(key_of(said), Known(0, None))
        entry = said if before.entry is None else _completed(said, before.entry, term)
        if before.entry is None or not _is_same(before.entry, entry):
            yield _readable(entry.model_copy(update={"version": before.version + 1}))


def _completed(said: CatalogEntry, before: CatalogEntry, term: Term) -> CatalogEntry:
    unsaid = type(said).model_fields.keys() - said.model_fields_set
    update = {name: getattr(before, name) for name in unsaid}
    if "windows" in said.model_fields_set:
        others = [window for window in _windows_of(before) if window.term != term]
        # in one order, so that sets of several terms, one after the other, are no news again
        update["windows"] = tuple(sorted((*others, *_windows_of(said)), key=_order_of))
    return said.model_copy(update=update)


def _windows_of(entry: CatalogEntry) -> tuple[Window, ...]:
    return entry.windows if isinstance(entry, StudentPublished) else ()


def _order_of(window: Window) -> tuple[Term, datetime, datetime]:
    return window.term, window.opens_at, window.closes_at


def _readable(entry: CatalogEntry) -> CatalogEntry:
    body = encode_body(entry)
    problem = f"it has {len(body)} bytes" if len(body) > BODY_BYTES_MAX else None
    try:
        type(entry).model_validate_json(body)
    except ValidationError as error:
        problem = "; ".join(describe(error))
    if problem is not None:
        raise DayError(
            f"nothing was imported, for {key_of(entry)} would be too much for the catalog "
            f"({problem}): say less of it, or empty its windows of other terms first"
        )
    return entry


def _is_same(one: CatalogEntry, other: CatalogEntry) -> bool:
    return one.model_copy(update={"version": other.version}) == other
