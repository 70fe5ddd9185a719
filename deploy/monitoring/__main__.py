"""The command `python -m deploy.monitoring`: writes what is made from the tables, or checks it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final

import typer
import yaml

from deploy.monitoring.dashboard import dashboard_json
from deploy.monitoring.page import page
from deploy.monitoring.rules import rules

HERE: Final = Path(__file__).parent


def alerts_yaml() -> str:
    """Write the rules of the alerts."""
    text: str = yaml.safe_dump(rules(), sort_keys=False, width=100, allow_unicode=True)
    return "# Written by `make monitoring` from deploy/monitoring/alerts.py.\n" + text


FILES: Final[Mapping[str, Callable[[], str]]] = {
    "metrics.md": page,
    "alerts.yml": alerts_yaml,
    "dashboard.json": dashboard_json,
}

app = typer.Typer(
    help="What is made from the tables of metrics, alerts and panels.",
    no_args_is_help=True,
    add_completion=False,
)

Folder = Annotated[Path, typer.Option(help="where the files are")]


@app.command()
def write(folder: Folder = HERE) -> None:
    """Write all anew."""
    for name, made in FILES.items():
        (folder / name).write_text(made(), encoding="utf-8")
        typer.echo(f"{name} is up to date")


@app.command()
def check(folder: Folder = HERE) -> None:
    """Exit with 1 if something is out of date."""
    old = [name for name in FILES if not _is_current(folder, name)]
    for name in old:
        typer.echo(f"{name} is out of date: run `make monitoring`", err=True)
    if old:
        raise typer.Exit(1)
    typer.echo("all is up to date")


def _is_current(folder: Path, name: str) -> bool:
    path = folder / name
    return path.is_file() and path.read_text(encoding="utf-8") == FILES[name]()


if __name__ == "__main__":
    app(prog_name="python -m deploy.monitoring")
