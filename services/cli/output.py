"""How every command speaks: results on standard output, progress on standard error."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any

import typer

EXIT_CODES = (
    "Exit code 0: fine; 1: what was asked about is not fine; 2: it could not be done now, or the "
    "command was called wrongly; 130: interrupted."
)

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print one JSON object; progress goes to standard error.")
]


class ExitCode(IntEnum):
    """What the end of a command means to whoever called it."""

    FINE = 0
    NOT_FINE = 1  # violations, rejected, undecided, unknown
    NOT_NOW = 2  # could not be done, or still moving, or called wrongly
    INTERRUPTED = 130


class CliError(Exception):
    """Ends a command; its text is one sentence that says what to do."""

    def __init__(self, sentence: str, exit_code: ExitCode = ExitCode.NOT_NOW) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Table:
    """Rows for people: drawn on a terminal, lined up elsewhere."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Output:
    """Where a command writes; as JSON it emits exactly one object."""

    as_json: bool

    def emit(self, data: Mapping[str, Any], *parts: str | Table) -> None:
        """Give the result once: `data` for programs, or `parts` for people."""
        if self.as_json:
            text = json.dumps(data, default=_plain_value, indent=2, ensure_ascii=False)
            print(text, flush=True)
            return
        for part in parts:
            _print_part(part)

    def progress(self, text: str) -> None:
        """Say what is going on; never part of the result."""
        print(text, file=sys.stderr, flush=True)

    def fail(self, sentence: str) -> None:
        """Say why there is no result; a program finds it under `error`."""
        print(f"enroll: {sentence}", file=sys.stderr, flush=True)
        if self.as_json:
            self.emit({"error": sentence})


def _print_part(part: str | Table) -> None:
    if isinstance(part, str):
        print(part, flush=True)
    elif sys.stdout.isatty():
        _draw(part)
    else:
        print("\n".join(line_up(part)), flush=True)


def _draw(table: Table) -> None:
    from rich.console import Console  # noqa: PLC0415  (slow, and only terminals need it)
    from rich.table import Table as Drawing  # noqa: PLC0415

    drawing = Drawing(*table.columns)
    for row in table.rows:
        drawing.add_row(*(_cell(value) for value in row))
    Console(markup=False).print(drawing)


def line_up(table: Table) -> list[str]:
    """Give the lines of a table with two spaces between its columns."""
    lines = [list(table.columns), *([_cell(value) for value in row] for row in table.rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(table.columns))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return show_time(value) if isinstance(value, datetime) else str(value)


def show_time(moment: datetime) -> str:
    """Show a moment to people: in UTC, to the millisecond."""
    return moment.isoformat(sep=" ", timespec="milliseconds")


def _plain_value(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if is_dataclass(value):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    return str(value)
