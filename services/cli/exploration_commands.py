"""The command that explores every interleaving of small configurations: explore."""

# ruff: noqa: PLC0415  (heavy imports wait until a command runs, so that --help is quick)

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from services.cli.output import EXIT_CODES, CliError, ExitCode, JsonFlag, Output, Table

if TYPE_CHECKING:
    from services.simulation.explorer.search import Found

PROGRESS_SECONDS: Final = 5.0
STORIES_MAX: Final = 3


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(epilog=EXIT_CODES)(explore)


def explore(
    *,
    only: Annotated[
        str, typer.Option(metavar="TEXT", help="Only configurations with this in their name.")
    ] = "",
    minutes: Annotated[
        float, typer.Option(min=0.01, max=10_000, help="Explore no longer than this.")
    ] = 60.0,
    processes: Annotated[
        int, typer.Option(min=0, max=1024, help="How many processes; 0: one a core.")
    ] = 0,
    as_json: JsonFlag = False,
) -> ExitCode:
    """Run the services' own code through every interleaving of small configurations.

    Each configuration is a few requests on few seats, with one kind of fault that strikes
    anywhere. Nothing needs to be running. What breaks a promise is told as the shortest story.
    Exit code 1 on violations, and where the time was too short to see everything.
    """
    output = Output(as_json)
    from services.simulation.explorer.configurations import all_configurations
    from services.simulation.explorer.running import explore_all
    from services.simulation.explorer.search import tell
    from services.simulation.running import cores

    chosen = [one for one in all_configurations() if only in one.name]
    if not chosen:
        raise CliError(f"no configuration has {only!r} in its name: leave --only out to see all")
    began, count = time.monotonic(), min(processes or cores(), len(chosen))
    output.progress(f"{len(chosen)} configurations on {count} processes, the largest first")
    found = explore_all(
        chosen,
        seconds_max=minutes * 60,
        processes=count,
        on_found=_every_few_seconds(output.progress, len(chosen)),
    )
    seconds = time.monotonic() - began
    stories = [tell(one) for one in found if one.violation][:STORIES_MAX]
    output.emit(_data(found, seconds), _table(found), *stories, _summary(found, seconds))
    return ExitCode.FINE if all(one.is_complete for one in found) else ExitCode.NOT_FINE


def _data(found: Sequence["Found"], seconds: float) -> dict[str, Any]:
    return {
        "configurations": [asdict(one) for one in found],
        "states": sum(one.states for one in found),
        "transitions": sum(one.transitions for one in found),
        "cpu_seconds": round(sum(one.seconds for one in found), 1),
        "seconds": round(seconds, 1),
        "violations": sum(bool(one.violation) for one in found),
        "is_complete": all(one.is_complete for one in found),
    }


def _table(found: Sequence["Found"]) -> Table:
    columns = ["configuration", "states", "transitions", "depth", "rests", "CPU s", "complete"]
    rows = [
        [
            one.name,
            f"{one.states:,}",
            f"{one.transitions:,}",
            one.depth,
            one.rests,
            f"{one.seconds:.1f}",
            "violation" if one.violation else "yes" if one.is_complete else "no",
        ]
        for one in found
    ]
    return Table(columns, rows)


def _summary(found: Sequence["Found"], seconds: float) -> str:
    states = sum(one.states for one in found)
    transitions = sum(one.transitions for one in found)
    failed = sum(bool(one.violation) for one in found)
    unfinished = sum(not one.is_complete and not one.violation for one in found)
    return (
        f"{len(found)} configurations, {states:,} states, {transitions:,} transitions, "
        f"{sum(one.seconds for one in found):,.0f} s of processor time in {seconds:,.0f} s: "
        f"{failed} with violations, {unfinished} not complete"
    )


def _every_few_seconds(say: Callable[[str], None], count: int) -> Callable[["Found"], None]:
    said_at = [time.monotonic()]
    done: list[Found] = []

    def on_found(found: "Found") -> None:
        done.append(found)
        if found.violation:
            say(f"{found.name}: {found.violation}")
        if time.monotonic() - said_at[0] >= PROGRESS_SECONDS:
            said_at[0] = time.monotonic()
            say(f"{len(done)} of {count} configurations, {sum(d.states for d in done):,} states")

    return on_found
