"""The command that shows an enrollment's trace: trace."""

# ruff: noqa: PLC0415  (heavy imports wait until a command runs, so that --help is quick)

import os
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import typer

from services.cli.output import EXIT_CODES, CliError, ExitCode, JsonFlag, Output


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(epilog=EXIT_CODES)(trace)


def trace(
    enrollment_id: Annotated[UUID, typer.Argument(help="The enrollment's id.")],
    *,
    as_json: JsonFlag = False,
) -> ExitCode:
    """Draw what happened to an enrollment, service by service, as Jaeger has it.

    Milliseconds since the beginning, how many it took, and when that was. Exit code 1 where its
    trace is not known: it was not sampled, or is too old.
    """
    from services.cli.traces import Jaeger, waterfall

    output, jaeger = Output(as_json), Jaeger(_url())
    found = jaeger.search("enrollment", {"enrollment.id": str(enrollment_id)})
    spans = found[0] if found else jaeger.trace(enrollment_id.hex)
    if not spans:
        raise CliError(
            f"Jaeger has no trace of {enrollment_id}: it was not sampled, or is too old; "
            "see `enroll show` for what became of it",
            ExitCode.NOT_FINE,
        )
    output.emit({"spans": [asdict(span) for span in spans]}, "\n".join(waterfall(spans)))
    return ExitCode.FINE


def _url() -> str:
    from deploy.local import stack, state
    from services.cli.traces import JAEGER_VARIABLE

    named = os.environ.get(JAEGER_VARIABLE)
    if named:
        return named
    jaeger = stack.status(state.default_directory()).servers.jaeger
    if jaeger is None or jaeger.url is None:
        raise CliError(
            "no Jaeger runs here: start one with `enroll up --jaeger`, or name yours by "
            f"{JAEGER_VARIABLE}"
        )
    return jaeger.url
