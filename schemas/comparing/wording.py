"""Writes parts of a JSON Schema into a sentence, and tells whether two are the same."""

import json
from collections.abc import Iterable
from typing import Any


def said(value: Any) -> str:
    """Write a value as JSON, keys in order; what differs in JSON differs here, as 1 and true."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same JSON; Python takes 1 for True."""
    return said(one) == said(other)


def listed(words: Iterable[str]) -> str:
    """Write words in order, with commas."""
    return ", ".join(sorted(words))
