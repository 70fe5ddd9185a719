"""The command `python -m deploy.monitoring`: writes metrics.md, or checks that it is current."""

from pathlib import Path
from typing import Annotated, Final

import typer

from deploy.monitoring.page import page

HERE: Final = Path(__file__).parent
NAME: Final = "metrics.md"

app = typer.Typer(
    help="The documentation of the metrics, from the table in code.",
    no_args_is_help=True,
    add_completion=False,
)

Folder = Annotated[Path, typer.Option(help="where the documentation is")]


@app.command()
def write(folder: Folder = HERE) -> None:
    """Write the documentation anew."""
    (folder / NAME).write_text(page(), encoding="utf-8")
    typer.echo(f"{NAME} is up to date")


@app.command()
def check(folder: Folder = HERE) -> None:
    """Exit with 1 if the documentation is out of date."""
    path = folder / NAME
    if not path.is_file() or path.read_text(encoding="utf-8") != page():
        typer.echo(f"{NAME} is out of date: run `make monitoring`", err=True)
        raise typer.Exit(1)
    typer.echo(f"{NAME} is up to date")


if __name__ == "__main__":
    app(prog_name="python -m deploy.monitoring")
