"""The list of mutants that no test can tell from the code, each with the reason."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.simulation.mutation.mutants import Survivor

LIST: Final = Path(__file__).with_name("equivalents.toml")


@dataclass(frozen=True)
class Equivalent:
    """A change in a function that changes nothing that anyone sees."""

    place: str
    change: str


@dataclass(frozen=True)
class Verdict:
    """What the tests miss, and what the list explains in vain."""

    unexplained: tuple[Survivor, ...]
    stale: tuple[Equivalent, ...]


def read_list() -> set[Equivalent]:
    """Read the list that is checked in; every entry has a reason."""
    entries = tomllib.loads(LIST.read_text())["equivalent"]
    assert all(entry["why"] for entry in entries)
    return {
        Equivalent(place, entry["change"].strip("\n"))
        for entry in entries
        for place in entry["functions"]
    }


def judge(survivors: Iterable[Survivor], listed: set[Equivalent]) -> Verdict:
    """Compare; lines are compared with their indentation, their numbers do not count."""
    found = {Equivalent(one.place, one.change): one for one in survivors}
    return Verdict(
        tuple(one for known, one in found.items() if known not in listed),
        tuple(sorted(listed - found.keys(), key=lambda one: (one.place, one.change))),
    )
