"""One row of a CSV file: gives its values, and says in a sentence each what is wrong with them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shared.events import IDENTIFIER_PATTERN

_IDENTIFIER = re.compile(IDENTIFIER_PATTERN)
SHOWN_LENGTH_MAX = 40
TEXT_LENGTH_MAX: Final = 64
MINUTE: Final = timedelta(minutes=1)
UNREADABLE: Final = "\ufffd"  # what bytes that are no text were read as


@dataclass(frozen=True, order=True)
class BadLine:
    """A line that cannot be imported, and what to do about it."""

    file: str
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.problem}"


def show(value: Any) -> str:
    """Quote a value in a sentence, cut where it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN_LENGTH_MAX else text[:SHOWN_LENGTH_MAX] + "…"


def identifier_problem(name: str, value: Any) -> str | None:
    """Say what is wrong with an identifier, if anything is."""
    if isinstance(value, str) and _IDENTIFIER.match(value) and not value.endswith("\n"):
        return None
    return f"{name} is {show(value)}: write 1 to 64 of A-Z a-z 0-9 . _ : -"


def _moment_of(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        offset, in_utc = moment.utcoffset(), moment.astimezone(UTC)
    except (ValueError, OverflowError):  # astimezone raises it near the first and the last year
        return None
    if offset is None:
        return None
    return in_utc if offset % MINUTE else moment  # events have offsets of whole minutes only


@dataclass
class Row:
    """One line; its getters note what is wrong and give a stand-in, so that all is found at once.

    The stand-ins are never used: a row with problems is never imported.
    """

    line: int
    cells: Mapping[str, str]
    problems: list[str] = field(default_factory=list)

    def identifier(self, name: str) -> str:
        """Give a cell that must be an identifier."""
        problem = identifier_problem(name, self.cells[name])
        if problem is not None:
            self.problems.append(problem)
        return self.cells[name]

    def number(self, name: str, at_most: int) -> int:
        """Give a cell that must be a whole number from 0."""
        text = self.cells[name]
        is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(at_most))
        if is_number and int(text) <= at_most:
            return int(text)
        self.problems.append(f"{name} is {show(text)}: write a whole number from 0 to {at_most}")
        return 0

    def bits(self, name: str, least: int, most: int, meaning: str) -> str:
        """Give a cell that must be a bit string."""
        text = self.cells[name]
        if not re.fullmatch(f"[01]{{{least},{most}}}", text):
            length = f"{least}" if least == most else f"{least} to {most}"
            self.problems.append(f"{name} is {show(text)}: write {length} of 0 and 1, {meaning}")
        return text

    def text(self, name: str) -> str:
        """Give a cell that must be a short text."""
        text = self.cells[name]
        is_plain = text.isprintable() and UNREADABLE not in text
        if not is_plain or not 1 <= len(text) <= TEXT_LENGTH_MAX:
            problem = f"write 1 to {TEXT_LENGTH_MAX} characters that can be printed"
            self.problems.append(f"{name} is {show(text)}: {problem}")
        return text

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """Give a cell that must be one of a few words."""
        text = self.cells[name]
        if text in choices:
            return text
        self.problems.append(f"{name} is {show(text)}: write one of {', '.join(choices)}")
        return choices[0]

    def moment(self, name: str) -> datetime:
        """Give a cell that must be a moment, in the zone it is written in, as students see it."""
        moment = _moment_of(self.cells[name])
        if moment is not None:
            return moment
        self.problems.append(
            f"{name} is {show(self.cells[name])}: write a date and time with its offset from UTC, "
            "such as 2031-01-15T08:00:00+01:00"
        )
        return datetime.min.replace(tzinfo=UTC)

    def lists(self, name: str, at_most: int) -> tuple[tuple[str, ...], ...]:
        """Give a cell of lists between `;`, each of identifiers between `|`; empty: no list."""
        text = self.cells[name]
        if not text:
            return ()
        lists = [tuple(part.strip() for part in one.split("|")) for one in text.split(";")]
        parts = [identifier_problem(f"a part of {name}", part) for one in lists for part in one]
        self.problems += [problem for problem in parts if problem is not None]
        if len(lists) > at_most:
            self.problems.append(f"{name} has {len(lists)} parts: write {at_most} at most")
        return tuple(lists)
