"""Reads the rows of a CSV file and says, in a sentence each, what is wrong with them."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.events import IDENTIFIER_PATTERN

_IDENTIFIER = re.compile(IDENTIFIER_PATTERN)
SHOWN_LENGTH_MAX = 40


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


def read_rows(path: Path, columns: Sequence[str], bad_lines: list[BadLine]) -> Iterator[Row]:
    """Yield the rows that have every column; add the other lines to `bad_lines`."""
    try:
        file = path.open(encoding="utf-8-sig", errors="replace", newline="")
    except OSError as error:
        advice = f"{error.strerror}: put the file there, with the columns {', '.join(columns)}"
        bad_lines.append(BadLine(path.name, 1, advice))
        return
    with file:
        yield from _rows(path.name, csv.reader(file, strict=True), columns, bad_lines)


def _rows(name: str, reader: Any, columns: Sequence[str], bad: list[BadLine]) -> Iterator[Row]:
    header: list[str] | None = None
    for line, cells in _records(name, reader, bad):
        if header is None:
            header = [cell.strip() for cell in cells]
            problem = _header_problem(header, columns)
            if problem is not None:
                bad.append(BadLine(name, line, problem))
                return
        elif len(cells) != len(header):
            few_or_many = "few" if len(cells) < len(header) else "many"
            problem = f"too {few_or_many} values: write {len(header)}, one for each column"
            bad.append(BadLine(name, line, problem))
        else:
            yield Row(line, dict(zip(header, (cell.strip() for cell in cells), strict=True)))
    if header is None:
        bad.append(BadLine(name, 1, f"it is empty: begin with the columns {', '.join(columns)}"))


def _records(name: str, reader: Any, bad: list[BadLine]) -> Iterator[tuple[int, list[str]]]:
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            bad.append(BadLine(name, max(1, reader.line_num), f"{error}: mend the quotes"))
            continue
        if cells:
            yield reader.line_num, cells


def _header_problem(header: Sequence[str], columns: Sequence[str]) -> str | None:
    missing = [column for column in columns if column not in header]
    if missing:
        return f"it lacks the columns {', '.join(missing)}: add them to the first line"
    twice = sorted({column for column in columns if header.count(column) > 1})
    if twice:
        return f"it has the columns {', '.join(twice)} twice: keep one of each"
    return None
