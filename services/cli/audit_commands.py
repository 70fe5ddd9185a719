"""The command that checks what the system promises, on the topics and tables themselves: audit."""

# ruff: noqa: PLC0415  (heavy imports wait until a command runs, so that --help is quick)

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from services.cli.output import EXIT_CODES, ExitCode, JsonFlag, Output, Table
from services.cli.target import find_target

if TYPE_CHECKING:
    from loadtests.auditor import Report

REST_SECONDS: Final = 60.0


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(epilog=EXIT_CODES)(audit)


def audit(
    *,
    rest_seconds: Annotated[
        float, typer.Option(min=0, max=3600, help="How long to wait until nothing moves.")
    ] = REST_SECONDS,
    as_json: JsonFlag = False,
) -> ExitCode:
    """Check every promise on topics and tables.

    It judges once nothing moves any more. Exit code 1 on violations, each of them one line;
    2 when something still moves after --rest-seconds, and nothing was judged.
    """
    output, target = Output(as_json), find_target()
    from loadtests import auditor

    report = asyncio.run(
        auditor.audit(
            target.kafka_url,
            dict(target.database_urls),
            rest_seconds=rest_seconds,
            on_progress=_without_repeats(output.progress),
        )
    )
    output.emit(report.as_json(), *report_parts(report))
    return ExitCode(report.exit_code)


def _without_repeats(say: Callable[[str], None]) -> Callable[[str], None]:
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
        "violations": len(report.violations),
    }
    return [
        *(str(violation) for violation in report.violations),
        *(f"not checked: {what}" for what in report.unchecked),
        Table(("what", "count"), list(counts.items())),
    ]
