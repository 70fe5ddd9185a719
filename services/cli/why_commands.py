"""The commands that say why: why, stuck."""

# ruff: noqa: PLC0415  (heavy imports wait until a command runs, so that --help is quick)

import asyncio
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer

from services.cli.output import EXIT_CODES, ExitCode, JsonFlag, Output
from services.cli.target import find_target
from services.cli.why.causes import USUAL_SECONDS

if TYPE_CHECKING:
    from services.cli.why.causes import Verdict

LIMIT: Final = 100


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (why, stuck):
        app.command(epilog=EXIT_CODES)(command)


def why(
    *,
    enrollment_id: Annotated[UUID, typer.Argument(help="The enrollment's id.")],
    as_json: JsonFlag = False,
) -> ExitCode:
    """Say where an enrollment is, why, and what may safely be done.

    It only reads: tables, topics, and what the processes say. Exit code 0: it is decided, or on
    its way as usual; 1: it is stuck or unknown; 2: that cannot be seen now.
    """
    from services.cli.why.diagnosis import diagnose
    from services.cli.why.gathering import gather
    from services.cli.why.telling import data_of, parts_of
    from shared.clock import system_clock

    facts = asyncio.run(gather(find_target(), enrollment_id))
    now = system_clock()
    found = diagnose(facts, now)
    Output(as_json).emit(data_of(found), *parts_of(found, now))
    return _exit_code(found.verdict)


def stuck(
    *,
    threshold_seconds: Annotated[
        float, typer.Option(min=0, max=86_400, help="Pending for longer is not usual.")
    ] = USUAL_SECONDS,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Show no more.")] = LIMIT,
    as_json: JsonFlag = False,
) -> ExitCode:
    """List the enrollments that are pending for longer than is usual, with their causes.

    Oldest first. Exit code 1 where there are any; `enroll why` says more of each.
    """
    from services.cli.why.causes import Verdict
    from services.cli.why.diagnosis import diagnose
    from services.cli.why.gathering import gather_stuck
    from services.cli.why.telling import stuck_data, stuck_parts
    from shared.clock import system_clock

    all_facts = asyncio.run(gather_stuck(find_target(), threshold_seconds, limit))
    now = system_clock()
    judged = [diagnose(facts, now, threshold_seconds) for facts in all_facts]
    found = [one for one in judged if one.verdict is not Verdict.FINE]  # some have just moved on
    Output(as_json).emit(
        stuck_data(found, threshold_seconds), *stuck_parts(found, threshold_seconds)
    )
    return ExitCode.NOT_FINE if found else ExitCode.FINE


def _exit_code(verdict: "Verdict") -> ExitCode:
    return {"fine": ExitCode.FINE, "stuck": ExitCode.NOT_FINE, "unseen": ExitCode.NOT_NOW}[verdict]
