"""The commands about what could not be handled: dead-letters list, show, replay, discard."""

# ruff: noqa: PLC0415  (heavy imports wait until a command runs, so that --help is quick)

import asyncio
import getpass
import os
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from services.cli.output import EXIT_CODES, CliError, ExitCode, JsonFlag, Output, Table
from services.cli.target import (
    INGRESS,
    WITH_DEAD_LETTERS,
    NoDataError,
    Target,
    find_target,
    transaction,
)

if TYPE_CHECKING:
    from shared.dead_letter import DeadLetter

OPERATOR_VARIABLE: Final = "ENROLL_OPERATOR"
LIST_COLUMNS: Final = ("service", "id", "event_type", "enrollment_id", "reason", "parked_at")

Id = Annotated[int, typer.Argument(help="The dead letter's id, as `list` shows it.")]
Service = Annotated[
    str, typer.Option(help=f"The service that parked it: {', '.join(WITH_DEAD_LETTERS)}.")
]


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
    service: Annotated[str | None, typer.Option(help="Only what this service parked.")] = None,
    as_json: JsonFlag = False,
) -> ExitCode:
    """List dead letters.

    Oldest first, at most 1000 of each service.
    """
    from services.cli.enrollment_story import letter_data

    found = asyncio.run(_read(find_target(), service))
    items = [letter_data(name, letter) for name, letter in found]
    table = Table(LIST_COLUMNS, [[item[name] for name in LIST_COLUMNS] for item in items])
    Output(as_json).emit({"items": items}, table if items else "There are no dead letters.")
    return ExitCode.FINE


def show(*, letter_id: Id, service: Service, as_json: JsonFlag = False) -> ExitCode:
    """Show a dead letter with its headers and its body."""
    from services.cli.enrollment_story import letter_data

    letter = asyncio.run(_find(find_target(), service, letter_id))
    message = _message_data(letter)
    data = letter_data(service, letter)
    rows = [*data.items(), *message["headers"].items()]
    rows += [("key", message["key"]), ("body", message["body"])]
    Output(as_json).emit(data | message, Table(("what", "value"), rows))
    return ExitCode.FINE


def replay(*, letter_id: Id, service: Service, as_json: JsonFlag = False) -> ExitCode:
    """Decide a dead letter again.

    With it go, in order, those of its enrollment that wait behind it: all or none. Exit code 1
    when one fails again.
    """
    from services.cli.dead_letter_work import replay as replay_letters

    output = Output(as_json)
    output.progress(f"replaying dead letter {letter_id} of {service}")
    done = asyncio.run(replay_letters(find_target(), service, letter_id, operator()))
    said = ", ".join(done.says) or "nothing"
    output.emit(
        {"service": service, "replayed": done.letter_ids, "says": done.says},
        f"replayed {len(done.letter_ids)} of {service}, which now says {said}",
    )
    return ExitCode.FINE


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


async def _read(target: Target, wanted: str | None) -> "list[tuple[str, DeadLetter]]":
    """Read those of one service, or of all; there may be no ingress."""
    from shared import letter_rows

    found = []
    for service in [wanted] if wanted else WITH_DEAD_LETTERS:
        try:
            async with transaction(target, service) as begun:
                found += [(service, letter) for letter in await letter_rows.read(begun)]
        except NoDataError:
            if wanted or service != INGRESS:
                raise
    return found


async def _find(target: Target, service: str, letter_id: int) -> "DeadLetter":
    from shared import letter_rows

    async with transaction(target, service) as begun:
        return await letter_rows.find(begun, letter_id)


def _message_data(letter: "DeadLetter") -> dict[str, Any]:
    def text(value: bytes | None) -> str | None:
        return None if value is None else value.decode(errors="replace")

    message = letter.message
    headers = {name: text(value) for name, value in message.headers}
    return {"key": text(message.key), "headers": headers, "body": text(message.value)}
