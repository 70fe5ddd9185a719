"""The command that signs a token for the ingress: token."""

# ruff: noqa: PLC0415  (heavy imports wait until a command runs, so that --help is quick)

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from services.cli.dead_letter_commands import operator
from services.cli.output import EXIT_CODES, CliError, ExitCode, JsonFlag, Output

CLIENT: Final = "enroll"
EXPIRES_SECONDS: Final = 3600
EXPIRES_SECONDS_MAX: Final = 30 * 86_400
NAME: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")  # of students, of staff and of clients


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(epilog=EXIT_CODES)(token)


def token(
    name: Annotated[
        str | None,
        typer.Argument(
            help="With --staff: who acts; default: ENROLL_OPERATOR, or who is logged in."
        ),
    ] = None,
    *,
    student: Annotated[
        str | None, typer.Option(help="The student who acts for herself with it.")
    ] = None,
    staff: Annotated[bool, typer.Option("--staff", help="For staff, who act for anyone.")] = False,
    expires_seconds: Annotated[
        int, typer.Option(min=1, max=EXPIRES_SECONDS_MAX, help="How long it is good for.")
    ] = EXPIRES_SECONDS,
    client: Annotated[
        str, typer.Option(help="The program that will use it, for its quota.")
    ] = CLIENT,
    private_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The issuer's key, for a stack elsewhere; JWT_ISSUER, JWT_AUDIENCE and "
            "JWT_ALGORITHM count. Default: the key of the stack here.",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> ExitCode:
    """Sign a token for the HTTP interface and print it.

    Whoever has the key can be anyone: it stays in the state directory, for its owner alone.
    """
    from deploy.local.tokens import issuer_with
    from shared.clock import system_clock

    subject, now = _subject(name, student, staff=staff), system_clock()
    _require_name("the client", client)
    issuer = issuer_with(private_key or _local_key_file())
    sign = issuer.staff if staff else issuer.student
    signed = sign(subject, client=client, now=now, lifetime_seconds=expires_seconds)
    expires_at = now.replace(microsecond=0) + timedelta(seconds=expires_seconds)
    Output(as_json).emit({"token": signed, "expires_at": expires_at}, signed)
    return ExitCode.FINE


def _subject(name: str | None, student: str | None, *, staff: bool) -> str:
    if staff == (student is not None) or (name is not None and not staff):
        raise CliError("whose token? say either --student ID, or --staff with a name or none")
    subject = student if student is not None else name or operator()
    _require_name("the student" if student is not None else "the name", subject)
    return subject


def _require_name(what: str, text: str) -> None:
    if not NAME.fullmatch(text):
        raise CliError(f"{what} is {text!r}: write 1 to 64 of A-Z a-z 0-9 . _ : -")


def _local_key_file() -> Path:
    from deploy.local import keys, state

    found = keys.private_key_file(state.default_directory())
    if not found.exists():
        raise CliError(
            "there is no key here yet: run `enroll up`, which makes one, or give --private-key FILE"
        )
    return found
