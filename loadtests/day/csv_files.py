"""Reads the rows of a CSV file, and names the lines that are none."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from loadtests.day.rows import BadLine, Row


def read_rows(
    path: Path, columns: Sequence[str], bad_lines: list[BadLine], optional: Sequence[str] = ()
) -> Iterator[Row]:
    """Yield the rows that have every column; add the other lines to `bad_lines`.

    The cells of an optional column are there only if the file has it.
    """
    try:
        file = path.open(encoding="utf-8-sig", errors="replace", newline="")
    except OSError as error:
        advice = f"{error.strerror}: put the file there, with the columns {', '.join(columns)}"
        bad_lines.append(BadLine(path.name, 1, advice))
        return
    with file:
        yield from _rows(path.name, csv.reader(file, strict=True), columns, optional, bad_lines)


def _rows(
    name: str,
    reader: Any,
    columns: Sequence[str],
    optional: Sequence[str],
    bad: list[BadLine],
) -> Iterator[Row]:
    header: list[str] | None = None
    for line, cells in _records(name, reader, bad):
        if header is None:
            header = [cell.strip() for cell in cells]
            problem = _header_problem(header, columns, optional)
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


def _header_problem(
    header: Sequence[str], columns: Sequence[str], optional: Sequence[str]
) -> str | None:
    missing = [column for column in columns if column not in header]
    if missing:
        return f"it lacks the columns {', '.join(missing)}: add them to the first line"
    twice = sorted({column for column in (*columns, *optional) if header.count(column) > 1})
    if twice:
        return f"it has the columns {', '.join(twice)} twice: keep one of each"
    return None


def header_of(path: Path) -> list[str]:
    """Give the columns that a file names in its first line; none where it cannot be read."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            return [cell.strip() for cell in next(csv.reader(file, strict=True), [])]
    except (OSError, csv.Error):
        return []
