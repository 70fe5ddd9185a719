"""The integrators' guide, as tests read it: its tables and its blocks of code."""

import re
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import NamedTuple

SCHEMAS = Path(__file__).parents[1]
GUIDE = SCHEMAS / "README.md"
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of code: what stands behind its opening fence, and its text."""

    info: str
    text: str


def blocks() -> list[Block]:
    """Give the blocks of code, in order."""
    return [Block(*found) for found in FENCE.findall(GUIDE.read_text())]


def table(title: str) -> dict[str, tuple[str, ...]]:
    """Give the first table below a title: the first cell of each row, and the others."""
    _, found, below = GUIDE.read_text().partition(f"# {title}\n")
    assert found, f"the guide has no title {title!r}"
    lines = dropwhile(lambda line: not line.startswith("|"), below.splitlines())
    _, _, *rows = takewhile(lambda line: line.startswith("|"), lines)
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
    names = [name for name, *_ in cells]
    assert len(set(names)) == len(names), f"a row stands twice under {title!r}"
    return {name.strip("`"): tuple(others) for name, *others in cells}


def odd_input() -> dict[str, str]:
    """Give what comes of each thing that may be sent to the topic of requests."""
    return _what_comes("What you may send, and what comes of it")


def odd_catalogs() -> dict[str, str]:
    """Give what comes of each thing that may be published to the catalogs."""
    return _what_comes("What you may publish, and what comes of it")


def _what_comes(title: str) -> dict[str, str]:
    return {name: comes for name, (_, comes) in table(title).items()}
