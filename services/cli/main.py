"""The `enroll` command: gathers the groups of commands, and ends every error in one sentence."""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, Final

import typer
from typer.core import TyperGroup

from deploy.local.errors import StackError
from services.cli import (
    audit_commands,
    catalog_commands,
    chaos_commands,
    config_commands,
    day_commands,
    dead_letter_commands,
    enrollment_commands,
    exploration_commands,
    export_commands,
    simulation_commands,
    stack_commands,
    token_commands,
    trace_commands,
    why_commands,
)
from services.cli.output import EXIT_CODES, CliError, ExitCode, Output
from shared.errors import DeadLetterError, EnrollmentSystemError

TRACEBACK_VARIABLE: Final = "ENROLL_TRACEBACK"


class Commands(TyperGroup):
    """All commands; whatever happens in one, it ends with a sentence and an exit code."""

    def main(  # type: ignore[override]  # it never returns
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> None:
        """Run what the arguments ask for and exit."""
        arguments = sys.argv[1:] if args is None else list(args)
        output = Output(as_json="--json" in arguments)
        extra["standalone_mode"] = False
        try:
            code = super().main(arguments, prog_name, **extra)
        except Exception as error:  # noqa: BLE001  a traceback helps no operator
            code = _report(error, output)
        if code == ExitCode.INTERRUPTED:
            output.fail("interrupted")
        sys.exit(int(code or ExitCode.FINE))


def _report(error: Exception, output: Output) -> ExitCode:
    if os.environ.get(TRACEBACK_VARIABLE):
        traceback.print_exception(error)
    match error:
        case CliError(exit_code=exit_code):
            output.fail(str(error))
            return exit_code
        case DeadLetterError():
            output.fail(str(error))
            return ExitCode.NOT_FINE
        case StackError() | EnrollmentSystemError():
            output.fail(str(error))
        case typer.TyperException():
            _report_wrong_call(error, output)
        case _:
            output.fail(_describe_foreign(error))
    return ExitCode.NOT_NOW


def _report_wrong_call(error: typer.TyperException, output: Output) -> None:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "enroll"
    if type(error).__name__ == "NoArgsIsHelpError":
        output.progress(error.format_message())  # the help itself
    else:
        output.fail(f"{error.format_message()} See `{path} --help`.")


def _describe_foreign(error: Exception) -> str:
    """Say what an error of a library means to an operator; named, for importing it is slow."""
    text = str(error).partition("\n")[0] or "no text"
    if type(error).__name__ == "KafkaException":
        return f"Kafka does not do it ({error.args[0].str()}): see `enroll status`"
    if isinstance(error, OSError):
        return f"a server or a file is not there ({text}): see `enroll status`"
    return (
        f"{type(error).__name__}: {text}; see `enroll status`, or set {TRACEBACK_VARIABLE}=1 "
        "to see where it comes from"
    )


app = typer.Typer(
    cls=Commands,
    help="Run the enrollment system, ask it things, and mend it.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
stack_commands.add_to(app)
token_commands.add_to(app)
trace_commands.add_to(app)
enrollment_commands.add_to(app)
why_commands.add_to(app)
dead_letter_commands.add_to(app)
catalog_commands.add_to(app)
day_commands.add_to(app)
audit_commands.add_to(app)
export_commands.add_to(app)
chaos_commands.add_to(app)
config_commands.add_to(app)
simulation_commands.add_to(app)
exploration_commands.add_to(app)


def main() -> None:
    """Run the command line."""
    app(prog_name="enroll")
