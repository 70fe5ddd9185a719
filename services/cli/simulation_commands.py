"""The command that runs the services in a simulator: simulate."""

# ruff: noqa: PLC0415  (heavy imports wait until a command runs, so that --help is quick)

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from services.cli.output import EXIT_CODES, ExitCode, JsonFlag, Output

if TYPE_CHECKING:
    from services.simulation.history import Verdict
    from services.simulation.running import Progress

PROGRESS_SECONDS: Final = 5.0
STORIES_MAX: Final = 3
SEEDS_MAX: Final = 2**63


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(epilog=EXIT_CODES)(simulate)


def simulate(
    *,
    seeds: Annotated[int, typer.Option(min=1, help="How many histories to run.")] = 1000,
    first: Annotated[int, typer.Option("--from", min=0, max=SEEDS_MAX, help="The first seed.")] = 0,
    minutes: Annotated[
        float, typer.Option(min=0.01, max=10_000, help="Begin no history after this time.")
    ] = 60.0,
    processes: Annotated[
        int, typer.Option(min=0, max=1024, help="How many processes; 0: one a core.")
    ] = 0,
    story: Annotated[
        bool, typer.Option("--story", help="Shrink and tell the first seed, and run no other.")
    ] = False,
    as_json: JsonFlag = False,
) -> ExitCode:
    """Run the services' own code through random histories with faults, and check every promise.

    A seed is a history: the same seed gives the same one. Nothing needs to be running. Seeds that
    break a promise are named, each with what is wrong; the first are told as short stories.
    Exit code 1 on violations.
    """
    output = Output(as_json)
    from services.simulation.history import run_seed, tell_story
    from services.simulation.running import cores, run_all

    if story:
        output.emit({"story": (text := tell_story(first))}, text)
        return ExitCode.NOT_FINE if run_seed(first).violations else ExitCode.FINE
    progress, digest = run_all(
        first,
        seeds,
        seconds_max=minutes * 60,
        processes=processes or cores(),
        on_progress=_every_few_seconds(lambda so_far: output.progress(_summary(so_far, seeds))),
    )
    stories = [tell_story(verdict.seed) for verdict in progress.failed[:STORIES_MAX]]
    data = {
        "seeds": progress.seeds,
        "sagas": progress.sagas,
        "violations": [asdict(one) | {"digest": one.digest.hex()} for one in progress.failed],
        "history_sha256": digest,
    }
    output.emit(data, *stories, *map(_sentence, progress.failed), _summary(progress, seeds))
    return ExitCode.NOT_FINE if progress.failed else ExitCode.FINE


def _sentence(verdict: "Verdict") -> str:
    return f"seed {verdict.seed} violates {'; '.join(verdict.violations)}"


def _summary(progress: "Progress", seeds: int) -> str:
    from loadtests.auditor.report import none_in

    done = f"{progress.seeds:,} of {seeds:,} seeds, {progress.sagas_per_second:,.0f} sagas/s"
    if progress.failed:
        return f"{done}: {len(progress.failed)} seeds with violations"
    return f"{done}: {none_in(progress.sagas)}"


def _every_few_seconds(say: Callable[["Progress"], None]) -> Callable[["Progress"], None]:
    said_at = [time.monotonic()]

    def on_progress(progress: "Progress") -> None:
        if time.monotonic() - said_at[0] >= PROGRESS_SECONDS:
            said_at[0] = time.monotonic()
            say(progress)

    return on_progress
