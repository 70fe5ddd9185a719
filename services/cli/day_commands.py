"""The command that plays a whole registration day through the system: day."""

# ruff: noqa: PLC0415  (heavy imports wait until a command runs, so that --help is quick)

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import uuid4

import typer

from services.cli.output import EXIT_CODES, ExitCode, JsonFlag, Output
from services.cli.target import find_target

if TYPE_CHECKING:
    from deploy.local.status import Status
    from loadtests.day.playing import Progress

CLEAR_LINE: Final = "\r\033[K"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(epilog=EXIT_CODES)(day)


def day(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="A folder with sections.csv, students.csv and requests.jsonl.",
        ),
    ],
    *,
    rate: Annotated[
        float | None,
        typer.Option(min=0.01, help="Requests a second; default: as fast as Kafka takes them."),
    ] = None,
    copies: Annotated[
        int,
        typer.Option(min=1, max=10_000, help="Universities; each has its sections and students."),
    ] = 1,
    run: Annotated[
        str | None,
        typer.Option(
            help="Names the requests; default: a new name. The same again changes nothing."
        ),
    ] = None,
    patience_seconds: Annotated[
        float, typer.Option(min=1, help="Give up when no outcome has come for so long.")
    ] = 60.0,
    as_json: JsonFlag = False,
) -> ExitCode:
    """Play a registration day, audit it and report.

    Imports DIR, publishes its requests and waits for their outcomes. Uses the stack that runs, or
    starts one for as long as the day lasts. Exit code 1 where a request got no outcome, or a
    promise was broken.
    """
    from loadtests.day.dataset import read_day
    from loadtests.day.report import as_text
    from loadtests.day.running import Wishes, run_day

    output = Output(as_json)
    dataset = read_day(folder)
    wishes = Wishes(run or _new_run_name(), rate, copies, patience_seconds)
    with running_stack(output) as pids:
        target = find_target()
        report = run_day(
            dataset,
            target.kafka_url,
            target.database_urls,
            wishes,
            pids=pids,
            say=lambda text: say(output, text),
            on_progress=show_progress,
        )
    output.emit(report.as_json(), as_text(report))
    return ExitCode.FINE if report.is_fine else ExitCode.NOT_FINE


def _new_run_name() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid4().hex[:4]}"


@contextmanager
def running_stack(output: Output) -> Iterator[Mapping[str, int]]:
    """Give the processes of the stack that runs; where none does, of one started for the block."""
    from deploy.local import stack, state

    directory = state.default_directory()
    is_ours = not pids_of(stack.status(directory))
    with sigterm_as_interrupt():
        try:
            yield pids_of(stack.up(directory, on_progress=output.progress))
        finally:
            if is_ours:
                output.progress("stopping what was started")
                stack.down(directory)


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Let a polite end stop what was started, as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def pids_of(status: "Status") -> dict[str, int]:
    """Name the processes whose processor time counts; a server given by URL has none."""
    servers = {"kafka": status.servers.kafka.pid, "postgres": status.servers.postgres.pid}
    services = {name: service.pid for name, service in status.services.items()}
    return {name: pid for name, pid in {**services, **servers}.items() if pid is not None}


def say(output: Output, text: str) -> None:
    """Say what begins now, in a line of its own."""
    if sys.stderr.isatty():
        print(CLEAR_LINE, end="", file=sys.stderr)
    output.progress(text)


def show_progress(progress: "Progress") -> None:
    """Show how far the run is: in one line on a terminal, else a line each time."""
    lag = "?" if progress.lag is None else f"{progress.lag:,}"
    text = (
        f"{progress.elapsed_seconds:5.0f} s  {progress.decided_per_second:8,.0f}/s  "
        f"confirmed {progress.confirmed:,}  rejected {progress.rejected:,}  "
        f"in flight {progress.in_flight:,}  lag {lag}"
    )
    if sys.stderr.isatty():
        print(f"{CLEAR_LINE}{text}", end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)
