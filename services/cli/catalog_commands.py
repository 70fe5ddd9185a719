"""The command that publishes a folder's sections and students to the catalogs: import."""

# ruff: noqa: PLC0415  (heavy imports wait until a command runs, so that --help is quick)

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from services.cli.output import EXIT_CODES, ExitCode, JsonFlag, Output
from services.cli.target import find_target


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("import", epilog=EXIT_CODES)(import_)


def import_(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="A folder with sections.csv and students.csv, and the optional files.",
        ),
    ],
    *,
    term: Annotated[
        str | None,
        typer.Option(help="The sections' term; default: that of requests.jsonl, or DIR's name."),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Import the good lines although others are bad.")
    ] = False,
    as_json: JsonFlag = False,
) -> ExitCode:
    """Publish a folder's sections and students.

    Returns when the services have applied them. Only what differs from the catalogs is published;
    nothing is if any line is bad: each is named, with what to do. What is known of a student or a
    section stays where no file or column says anything of it; see "Import files" in the README.
    """
    from loadtests.day.dataset import read_catalogs
    from loadtests.day.importing import import_datasets
    from loadtests.day.overlooked import overlooked

    output = Output(as_json)
    dataset, bad_lines = read_catalogs(folder, term=term, skip_bad=skip_bad)
    for notice in overlooked(folder):
        output.progress(notice)
    for bad in bad_lines:
        output.progress(f"skipped {bad}")
    imported = import_datasets(find_target().kafka_url, [dataset], output.progress)
    output.emit(
        {**asdict(imported), "skipped": [asdict(bad) for bad in bad_lines]},
        f"term {imported.term}: published {imported.sections_published:,} of "
        f"{imported.sections:,} sections and {imported.students_published:,} of "
        f"{imported.students:,} students; the others were known as they are",
    )
    return ExitCode.FINE
