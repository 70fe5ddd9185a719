"""The commands about what could not be handled: dead-letters list, show, replay, discard."""

# ruff: noqa: PLC0415  (heavy imports wait until a command runs, so that --help is quick)

import asyncio
import getpass
import os
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer

from services.cli.output import EXIT_CODES, CliError, ExitCode, JsonFlag, Output, Table
from services.cli.target import WITH_DEAD_LETTERS, Target, find_target

if TYPE_CHECKING:
    from services.cli.dead_letter_work import Attempt, Found
    from services.enrollment.model import Enrollment
    from shared.dead_letter import DeadLetter
    from shared.letter_rows import Wanted

OPERATOR_VARIABLE: Final = "ENROLL_OPERATOR"
LIST_COLUMNS: Final = ("service", "id", "event_type", "enrollment_id", "reason", "parked_at")
ID_HELP: Final = "The dead letter's id, as `list` shows it."
SERVICE_HELP: Final = f"The service that parked it: {', '.join(WITH_DEAD_LETTERS)}."

Id = Annotated[int, typer.Argument(help=ID_HELP)]
Service = Annotated[str, typer.Option(help=SERVICE_HELP)]
OptionalService = Annotated[str | None, typer.Option(help=SERVICE_HELP)]
OfEnrollment = Annotated[
    UUID | None, typer.Option("--enrollment", help="Only those of this enrollment.")
]
OfReason = Annotated[str | None, typer.Option(help="Only those parked for this reason.")]
OfType = Annotated[str | None, typer.Option(help="Only events of this type.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(
        help="See and mend what could not be handled.",
        epilog=EXIT_CODES,
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("list", epilog=EXIT_CODES)(list_letters)
    for command in (show, replay, discard):
        group.command(epilog=EXIT_CODES)(command)
    app.add_typer(group, name="dead-letters")


def list_letters(
    *,
    service: OptionalService = None,
    enrollment: OfEnrollment = None,
    reason: OfReason = None,
    event_type: OfType = None,
    as_json: JsonFlag = False,
) -> ExitCode:
    """List dead letters.

    Oldest first, at most 1000 of each service. What a message holds is not listed: see `show`.
    """
    from services.cli.dead_letter_work import find_letters
    from services.cli.enrollment_story import letter_data

    wanted = _wanted(enrollment, reason, event_type)
    found = asyncio.run(find_letters(find_target(), service, wanted))
    items = [letter_data(name, letter) for name, letter in found]
    table = Table(LIST_COLUMNS, [[item[name] for name in LIST_COLUMNS] for item in items])
    Output(as_json).emit({"items": items}, table if items else "There are no dead letters.")
    return ExitCode.FINE


def show(*, letter_id: Id, service: Service, as_json: JsonFlag = False) -> ExitCode:
    """Show a dead letter: what was the matter, its trace, its headers, and what it says."""
    from services.cli.dead_letter_views import whole_letter_data, whole_letter_parts

    letter, enrollment = asyncio.run(_read(find_target(), service, letter_id))
    data = whole_letter_data(service, letter, enrollment)
    Output(as_json).emit(data, *whole_letter_parts(data))
    return ExitCode.FINE


def replay(
    *,
    letter_id: Annotated[int | None, typer.Argument(help=ID_HELP)] = None,
    service: OptionalService = None,
    enrollment: OfEnrollment = None,
    reason: OfReason = None,
    event_type: OfType = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would come of it, and change nothing.")
    ] = False,
    as_json: JsonFlag = False,
) -> ExitCode:
    """Decide dead letters again: one, by its id and --service, or all that are like the options.

    With each go, in order, those of its enrollment that wait behind it: all or none. One that
    fails again stays, and the others go on. Exit code 1 when one fails again.
    """
    from services.cli.dead_letter_views import attempt_line, attempts_data

    output, target, who = Output(as_json), find_target(), operator()
    wanted = _wanted(enrollment, reason, event_type)
    found = asyncio.run(_chosen(target, letter_id, service, wanted))
    output.progress(f"{len(found)} dead letters {'to try' if dry_run else 'to replay'}")
    attempts = asyncio.run(_attempt_all(target, found, who, is_only_tried=dry_run))
    lines = [attempt_line(one, is_only_tried=dry_run) for one in attempts]
    output.emit(attempts_data(attempts, is_only_tried=dry_run), *lines)
    has_failed = any(one.failure for one in attempts)
    return ExitCode.NOT_FINE if has_failed else ExitCode.FINE


def discard(
    *,
    letter_id: Id,
    service: Service,
    outcome: Annotated[
        str | None,
        typer.Option(
            help="What becomes of the enrollment: `rejected` for a request, `stands` for a cancel."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it: this cannot be undone.")] = False,
    as_json: JsonFlag = False,
) -> ExitCode:
    """Give a dead letter up for good.

    A request needs `--outcome rejected`: the enrollment is stored and said to be rejected. A
    cancel needs `--outcome stands`: the enrollment stays as it is. An EnrollmentRejected or
    EnrollmentCancelled is never discarded, since what it ends would stay for ever: replay it.
    Exit code 1 where these rules forbid it.
    """
    from services.cli.dead_letter_work import discard as discard_letter
    from services.cli.dead_letter_work import outcome_named

    output, wanted = Output(as_json), outcome_named(outcome)
    if not yes:
        raise CliError("a discarded dead letter is gone for good: repeat it with --yes")
    done = asyncio.run(discard_letter(find_target(), service, letter_id, wanted, operator()))
    said = ", ".join(done.says) or "nothing"
    output.emit(
        {"service": service, "discarded": done.letter_ids, "outcome": outcome, "says": done.says},
        f"discarded dead letter {letter_id} of {service}, which now says {said}",
    )
    return ExitCode.FINE


def operator() -> str:
    """Name who acts, for the audit record."""
    try:
        return os.environ.get(OPERATOR_VARIABLE) or getpass.getuser()
    except (KeyError, OSError):
        raise CliError(f"who are you? set {OPERATOR_VARIABLE}: it is recorded") from None


def _wanted(enrollment: UUID | None, reason: str | None, event_type: str | None) -> "Wanted":
    from shared.identifiers import EnrollmentId
    from shared.letter_rows import Wanted

    enrollment_id = None if enrollment is None else EnrollmentId(enrollment)
    return Wanted(enrollment_id, reason, event_type)


async def _read(
    target: Target, service: str, letter_id: int
) -> "tuple[DeadLetter, Enrollment | None]":
    from services.cli.dead_letter_work import enrollment_of, find_letter

    letter = await find_letter(target, service, letter_id)
    return letter, await enrollment_of(target, letter)


async def _chosen(
    target: Target, letter_id: int | None, service: str | None, wanted: "Wanted"
) -> "list[Found]":
    """Find what is to be replayed; all there are is never meant by saying nothing."""
    from services.cli.dead_letter_work import find_letter, find_letters
    from shared.letter_rows import ALL

    if letter_id is None:
        if wanted == ALL:
            raise CliError(
                "which dead letters? name one by its id and --service, or some by --enrollment, "
                "--reason or --event-type"
            )
        return await find_letters(target, service, wanted)
    if service is None:
        raise CliError(f"dead letter {letter_id} of which service? say it by --service")
    if wanted != ALL:
        raise CliError("name one by its id, or some by options: not both")
    return [(service, await find_letter(target, service, letter_id))]


async def _attempt_all(
    target: Target, found: "list[Found]", who: str, *, is_only_tried: bool
) -> "list[Attempt]":
    """Replay one queue after the other."""
    from services.cli.dead_letter_work import attempt, one_of_each_queue

    return [
        await attempt(target, one, who, is_only_tried=is_only_tried)
        for one in one_of_each_queue(found)
    ]
