"""The command `python -m schemas`: writes the published files, or checks that they are current."""

from pathlib import Path
from typing import Annotated

import typer

from schemas import publishing
from schemas.files import generated_files

app = typer.Typer(
    help="The published contract: schemas and examples of events, AsyncAPI, OpenAPI, choreography.",
    no_args_is_help=True,
    add_completion=False,
)

Folder = Annotated[Path, typer.Option(help="where the published files are")]


@app.command()
def write(folder: Folder = publishing.HERE) -> None:
    """Write every file anew; refuse all if a published schema would break someone."""
    files = generated_files()
    refusals = publishing.refusals(folder, files)
    if refusals:
        _fail([*refusals, "nothing was written"])
    changed = publishing.write(folder, files)
    for path in changed:
        typer.echo(f"wrote {path}")
    typer.echo(f"{len(files)} files are up to date")


@app.command()
def check(folder: Folder = publishing.HERE) -> None:
    """Name each file that is out of date, and exit with 1 if there is one."""
    files = generated_files()
    stale = publishing.out_of_date(folder, files)
    if stale:
        _fail([*stale, "run `make schemas`"])
    typer.echo(f"{len(files)} files are up to date")


def _fail(sentences: list[str]) -> None:
    for sentence in sentences:
        typer.echo(sentence, err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app(prog_name="python -m schemas")
