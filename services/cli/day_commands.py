"""The command that plays a whole registration day through the system: day."""

# ruff: noqa: PLC0415  (heavy imports wait until a command runs, so that --help is quick)

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import uuid4

import typer

from services.cli.output import EXIT_CODES, CliError, ExitCode, JsonFlag, Output
from services.cli.target import find_target

if TYPE_CHECKING:
    from deploy.local.status import Status
    from loadtests.day.playing import Progress
    from loadtests.day.report import DayReport

CLEAR_LINE: Final = "\r\033[K"
CONNECTIONS: Final = 64
CLIENT: Final = "enroll-day"
TOKEN_SECONDS: Final = 86_400  # longer than any day takes


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
    http: Annotated[
        bool,
        typer.Option("--http", help="Through the ingress, each request with its student's token."),
    ] = False,
    connections: Annotated[
        int, typer.Option(min=1, max=2000, help="With --http: connections at the same time.")
    ] = CONNECTIONS,
    as_json: JsonFlag = False,
) -> ExitCode:
    """Play a registration day, audit it and report.

    Imports DIR, publishes its requests and waits for their outcomes. Uses the stack that runs, or
    starts one for as long as the day lasts. Exit code 1 where a request got no outcome, or a
    promise was broken. With --http, what is answered 429 or 503 is repeated after Retry-After,
    with the same Idempotency-Key.
    """
    from loadtests.day.dataset import read_day
    from loadtests.day.report import as_text
    from loadtests.day.running import Wishes, run_day

    output = Output(as_json)
    dataset = read_day(folder)
    wishes = Wishes(run or _new_run_name(), rate, copies, patience_seconds)
    with running_stack(output) as found:
        target = find_target()
        play = _by_http(found, connections) if http else run_day
        report = play(
            dataset,
            target.kafka_url,
            target.database_urls,
            wishes,
            pids=pids_of(found),
            say=lambda text: say(output, text),
            on_progress=show_progress,
        )
    output.emit(report.as_json(), as_text(report))
    return ExitCode.FINE if report.is_fine else ExitCode.NOT_FINE


def _by_http(found: "Status", connections: int) -> "Callable[..., DayReport]":
    """Give what plays a day through the ingresses that run here, with tokens of their key."""
    from deploy.local import keys, state
    from deploy.local.tokens import issuer_with
    from loadtests.day.by_http.running import Edge, run_day_by_http
    from shared.clock import system_clock

    urls = [service.url for service in found.services.values() if service.url is not None]
    if not urls:
        raise CliError("no ingress runs here: `enroll down`, then `enroll up --ingresses 1`")
    issuer = issuer_with(keys.private_key_file(state.default_directory()))
    sign = partial(
        issuer.student, client=CLIENT, now=system_clock(), lifetime_seconds=TOKEN_SECONDS
    )
    return partial(run_day_by_http, edge=Edge(urls, sign, connections))


def _new_run_name() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid4().hex[:4]}"


@contextmanager
def running_stack(output: Output) -> "Iterator[Status]":
    """Give the stack that runs; where none does, one is started for the block."""
    from deploy.local import stack, state

    directory = state.default_directory()
    is_ours = not pids_of(stack.status(directory))
    with sigterm_as_interrupt():
        try:
            yield stack.up(directory, on_progress=output.progress)
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
    servers = {name: server.pid for name, server in status.servers.by_name().items()}
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
