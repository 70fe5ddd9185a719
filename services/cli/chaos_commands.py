"""The command that breaks a stack of its own in every way and judges what it did: chaos."""

# ruff: noqa: PLC0415  (heavy imports wait until a command runs, so that --help is quick)

import os
from pathlib import Path
from random import randrange
from typing import Annotated, Final

import typer

from services.cli.day_commands import sigterm_as_interrupt
from services.cli.output import EXIT_CODES, ExitCode, JsonFlag, Output

SEEDS: Final = 1_000_000
STATE_DIR: Final = ".enroll/chaos"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EXIT_CODES)(chaos)


def chaos(
    *,
    minutes: Annotated[
        float, typer.Option(min=0.1, max=600, help="How long the storm lasts.")
    ] = 5.0,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Plans faults and load; default: a new one, told.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=500,
            help="Requests a second; default: 20 by Kafka and as many by HTTP, in drills 60.",
        ),
    ] = None,
    drills: Annotated[
        bool, typer.Option("--drills", help="Measure recoveries one by one, instead of a storm.")
    ] = False,
    repeats: Annotated[int, typer.Option(min=1, max=100, help="Of each drill.")] = 10,
    as_json: JsonFlag = False,
) -> ExitCode:
    """Kill, stop and cut off everything under load, then judge.

    Starts a stack of its own in ENROLL_STATE_DIR (default .enroll/chaos), wipes what was there,
    and stops it at the end; chaos.jsonl, client.jsonl and http.jsonl there tell what happened.
    Exit code 1 where a promise was broken, the load was not played, or a drill took more than 10
    seconds.
    """
    output = Output(as_json)
    state_dir = Path(os.environ.get("ENROLL_STATE_DIR") or STATE_DIR)
    chosen_seed = randrange(SEEDS) if seed is None else seed
    with sigterm_as_interrupt():
        if drills:
            return _drill(output, state_dir, chosen_seed, rate, repeats)
        return _storm(output, state_dir, chosen_seed, rate, minutes)


def _storm(
    output: Output, state_dir: Path, seed: int, rate: float | None, minutes: float
) -> ExitCode:
    from loadtests.chaos.report import storm_lines
    from loadtests.chaos.storm import StormWishes, run_storm

    wishes = StormWishes(seed, minutes, requests_per_second=rate or 20.0)
    report = run_storm(state_dir, wishes, output.progress)
    output.emit(report.as_json(), *storm_lines(report))
    return ExitCode.FINE if report.is_fine else ExitCode.NOT_FINE


def _drill(
    output: Output, state_dir: Path, seed: int, rate: float | None, repeats: int
) -> ExitCode:
    from loadtests.chaos.drill_report import drill_lines
    from loadtests.chaos.drills import DrillWishes, run_drills

    wishes = DrillWishes(seed, repeats, requests_per_second=rate or 60.0)
    report = run_drills(state_dir, wishes, output.progress)
    output.emit(report.as_json(), *drill_lines(report))
    return ExitCode.FINE if report.is_fine else ExitCode.NOT_FINE
