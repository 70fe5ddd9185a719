"""The command that writes who is in which section, for other systems: export."""

# ruff: noqa: PLC0415  (heavy imports wait until a command runs, so that --help is quick)

import asyncio
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import IO, Annotated, Final

import typer

from services.cli.export_formats import Export, ExportFormat, write_header, write_rows
from services.cli.output import EXIT_CODES, CliError, ExitCode, JsonFlag, Output
from services.cli.target import Target, find_target, reading, transaction
from services.cli.whole_files import printed_whole, replaced_whole

PROGRESS_SECONDS: Final = 2.0
SCHOOL_LENGTH_MAX: Final = 255

Say = Callable[[str], None]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(epilog=EXIT_CODES)(export)


def export(
    *,
    term: Annotated[str, typer.Option(help="The term whose confirmed enrollments to write.")],
    form: Annotated[
        ExportFormat,
        typer.Option("--format", help="oneroster: enrollments.csv of OneRoster 1.2, in full."),
    ] = ExportFormat.CSV,
    path: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="Default: standard output. A new file is its owner's alone (mode 0600); "
            "one that is replaced keeps its mode.",
        ),
    ] = None,
    school: Annotated[
        str | None, typer.Option(help="With --format oneroster: the school's sourcedId.")
    ] = None,
    as_json: JsonFlag = False,
) -> ExitCode:
    """Write a row for each student and section.

    All confirmed enrollments of a term as they were at one moment, also while others are decided.
    Sorted by student, then section. FILE is replaced when all is written. No row is fine, too.
    """
    output = Output(as_json)
    _require_sense(form, school, path, as_json=as_json)
    wanted = Export(term, form, school or "")
    with replaced_whole(path) if path else printed_whole() as file:
        rows = asyncio.run(_write(find_target(), file, wanted, output.progress))
    data = {"rows": rows, "term": term, "format": form.value, "file": str(path)}
    if path:
        output.emit(data, f"wrote {rows:,} rows of term {term} to {path}")
    return ExitCode.FINE


def _require_sense(
    form: ExportFormat, school: str | None, path: Path | None, *, as_json: bool
) -> None:
    if as_json and path is None:
        raise CliError("--json prints one object: name a file for the rows with --output")
    if form is not ExportFormat.ONEROSTER and school is not None:
        raise CliError("only --format oneroster names a school: leave out --school")
    if form is ExportFormat.ONEROSTER and not _is_sourced_id(school):
        raise CliError(
            "OneRoster needs the school's sourcedId: give it with --school, in "
            f"1 to {SCHOOL_LENGTH_MAX} characters that can be printed"
        )


def _is_sourced_id(school: str | None) -> bool:
    return school is not None and school.isprintable() and 1 <= len(school) <= SCHOOL_LENGTH_MAX


async def _write(target: Target, file: IO[str], wanted: Export, say: Say) -> int:
    from services.enrollment.store import stream_confirmed_seats
    from shared.identifiers import Term

    say(f"reading the confirmed enrollments of term {wanted.term}")
    rows, said_at = 0, monotonic()
    async with reading(target, "enrollment") as reader:
        write_header(file, wanted.form)
        async for seats in stream_confirmed_seats(reader, Term(wanted.term)):
            write_rows(file, wanted, seats)
            rows += len(seats)
            if monotonic() - said_at > PROGRESS_SECONDS:
                said_at = monotonic()
                say(f"{rows:,} rows")
    say(f"{rows:,} rows" if rows else await _why_nothing(target, wanted))
    return rows


async def _why_nothing(target: Target, wanted: Export) -> str:
    from services.capacity.store import list_sections
    from shared.identifiers import Term

    async with transaction(target, "capacity") as begun:
        is_known = bool(await list_sections(begun, Term(wanted.term)))
    why = "no enrollment is confirmed" if is_known else "no section of it is known"
    no_file = (
        "; OneRoster allows no file without rows" if wanted.form is ExportFormat.ONEROSTER else ""
    )
    return f"there are no rows: of term {wanted.term} {why}{no_file}"
