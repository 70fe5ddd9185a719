"""The commands that check what the system promises, now or from a recorded day: audit, dump."""

# ruff: noqa: PLC0415  (heavy imports wait until a command runs, so that --help is quick)

import asyncio
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from services.cli.output import EXIT_CODES, CliError, ExitCode, JsonFlag, Output, Table
from services.cli.target import find_target
from services.cli.whole_files import printed_whole, replaced_whole

if TYPE_CHECKING:
    from loadtests.auditor import Report

REST_SECONDS: Final = 60.0
STANDARD: Final = Path("-")  # input or output

Say = Callable[[str], None]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(epilog=EXIT_CODES)(audit)
    app.command(epilog=EXIT_CODES)(dump)


def audit(
    *,
    rest_seconds: Annotated[
        float, typer.Option(min=0, max=3600, help="How long to wait until nothing moves.")
    ] = REST_SECONDS,
    dump_file: Annotated[
        Path | None,
        typer.Option(
            "--dump", metavar="FILE", help="Judge what `enroll dump` wrote; -: standard input."
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> ExitCode:
    """Check every promise on topics and tables.

    It judges once nothing moves any more. Exit code 1 on violations, each of them one line;
    2 when something still moves after --rest-seconds, and nothing was judged.

    A dump is judged by itself, as far as topics tell. Of one that was taken in motion, what is
    only missing is counted as still open, and is no violation.
    """
    output = Output(as_json)
    say = _without_repeats(output.progress)
    report = _audit_running(rest_seconds, say) if dump_file is None else _audit_dump(dump_file, say)
    output.emit(report.as_json(), *report_parts(report))
    return ExitCode(report.exit_code)


def _audit_running(rest_seconds: float, say: Say) -> "Report":
    from loadtests import auditor

    target = find_target()
    return asyncio.run(
        auditor.audit(
            target.kafka_url,
            target.audited_urls,
            rest_seconds=rest_seconds,
            on_progress=say,
        )
    )


def _audit_dump(path: Path, say: Say) -> "Report":
    from loadtests import auditor

    try:
        if path == STANDARD:
            return auditor.audit_dump(sys.stdin.buffer, "standard input", on_progress=say)
        with path.open("rb") as lines:
            return auditor.audit_dump(lines, str(path), on_progress=say)
    except auditor.DumpError as error:
        raise CliError(str(error)) from None
    except OSError as error:
        raise CliError(f"{path} cannot be read ({error.strerror}): name a dump") from None


def dump(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="-: standard output. A new file is its owner's alone (mode 0600); "
            "one that is replaced keeps its mode.",
        ),
    ],
    *,
    as_json: JsonFlag = False,
) -> ExitCode:
    """Write all topics to FILE, an object a line, for `enroll audit --dump`.

    As they are when it begins, also while enrollments go on. FILE is replaced when all is
    written. It also tells whether something moved, and which enrollments wait for an operator.
    """
    from loadtests import auditor

    output = Output(as_json)
    if as_json and path == STANDARD:
        raise CliError("--json prints one object: name a file for the dump")
    target = find_target()
    with printed_whole() if path == STANDARD else replaced_whole(path) as file:
        done = asyncio.run(
            auditor.dump(
                target.kafka_url,
                dict(target.database_urls),
                file,
                on_progress=_without_repeats(output.progress),
            )
        )
    data = {"records": done.records, "is_at_rest": done.is_at_rest, "file": str(path)}
    if path != STANDARD:
        moment = "at rest" if done.is_at_rest else "in motion"
        output.emit(data, f"wrote {done.records:,} records, taken {moment}, to {path}")
    return ExitCode.FINE


def _without_repeats(say: Say) -> Say:
    """Say only what differs from what was said last."""
    last: list[str] = []

    def say_once(text: str) -> None:
        if last != [text]:
            last[:] = [text]
            say(text)

    return say_once


def report_parts(report: "Report") -> list[str | Table]:
    """Give a report for people."""
    if report.still_moving:
        return [
            "Nothing was judged, for this still moves:",
            *(f"  {what}" for what in report.still_moving),
            "Wait until the load is over, see `enroll status`, and audit again.",
        ]
    counts: Mapping[str, Any] = {
        **{f"enrollments {state}": n for state, n in report.enrollments_by_state.items()},
        **{f"events in {topic}": n for topic, n in report.events_by_topic.items()},
        "sections": report.sections,
        "seats reserved": report.seats_reserved,
        **{f"still open: {what}": count for what, count in report.still_open.items()},
        "violations": len(report.violations),
    }
    return [
        *(str(violation) for violation in report.violations),
        *(f"not checked: {what}" for what in report.unchecked),
        Table(("what", "count"), list(counts.items())),
    ]
