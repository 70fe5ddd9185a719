"""The commands about enrollments and seats: request, cancel, show, sections."""

# ruff: noqa: PLC0415  (heavy imports wait until a command runs, so that --help is quick)

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer

from services.cli.output import EXIT_CODES, CliError, ExitCode, JsonFlag, Output, Table
from services.cli.target import Target, find_target, opened, reading, transaction

if TYPE_CHECKING:
    from services.capacity.model import Section
    from services.capacity.store import HeldSeat
    from services.enrollment.model import Enrollment
    from shared.events import EnrollmentRequested
    from shared.identifiers import EnrollmentId

POLL_SECONDS: Final = 0.1
WAIT_SECONDS: Final = 60.0
SECTION_COLUMNS: Final = ["term", "section_id", "state", "capacity", "reserved", "free"]
CANCELLED_COLUMNS: Final = ["term", "section_id", "enrollment_id", "student_id"]

WaitFlag = Annotated[bool, typer.Option("--wait", help="Wait until it is decided.")]
WaitSeconds = Annotated[float, typer.Option(min=0, max=86_400, help="How long to wait at most.")]
Id = Annotated[UUID, typer.Argument(help="The enrollment's id.")]
IsDone = Callable[["Enrollment | None"], bool]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (request, cancel, show, sections):
        app.command(epilog=EXIT_CODES)(command)


def request(
    *,
    student: Annotated[str, typer.Option(help="The student's id.")],
    term: Annotated[str, typer.Option(help="The term of all sections.")],
    section: Annotated[list[str], typer.Option(help="A section's id; repeat it for more.")],
    deadline_seconds: Annotated[
        float | None, typer.Option(help="Reject it if it is undecided after so long.")
    ] = None,
    enrollment_id: Annotated[
        UUID | None, typer.Option("--id", help="The enrollment's id; default: a new one.")
    ] = None,
    wait: WaitFlag = False,
    wait_seconds: WaitSeconds = WAIT_SECONDS,
    as_json: JsonFlag = False,
) -> ExitCode:
    """Ask for a student's seats, all or nothing.

    Done when Kafka has the request. With --wait: exit code 0 when it is confirmed; 1 when it is
    rejected or cancelled, or still undecided after --wait-seconds.
    """
    from services.cli.publishing import publish, valid_request
    from shared.identifiers import new_event_id

    output, target = Output(as_json), find_target()
    event = valid_request(
        enrollment_id=enrollment_id or new_event_id(),
        student_id=student,
        term=term,
        sections=section,
        deadline_seconds=deadline_seconds,
    )
    publish(target, event)
    if not wait:
        data = {"enrollment_id": event.enrollment_id}
        output.emit(data, f"{event.enrollment_id} requested: ask for it with `enroll show`")
        return ExitCode.FINE
    output.progress(f"{event.enrollment_id} requested; waiting for its outcome")
    found = asyncio.run(_wait_until(_is_decided, target, event.enrollment_id, wait_seconds))
    _require_same_request(found, event)
    _emit_outcome(event.enrollment_id, found, output)
    is_confirmed = found is not None and found.state.value == "confirmed"
    return ExitCode.FINE if is_confirmed else ExitCode.NOT_FINE


def cancel(
    *,
    enrollment_id: Id,
    reason: Annotated[str | None, typer.Option(help="A remark to be kept with it.")] = None,
    student: Annotated[
        str | None, typer.Option(help="Whose it is, while its request is not known.")
    ] = None,
    wait: WaitFlag = False,
    wait_seconds: WaitSeconds = WAIT_SECONDS,
    as_json: JsonFlag = False,
) -> ExitCode:
    """Give an enrollment up.

    Pending or confirmed, it ends and its seats go back. Done when Kafka has the cancel. With
    --wait: exit code 0 when it is cancelled, or will be as soon as its request comes; 1 when it
    had been rejected, or is neither after --wait-seconds.
    """
    from services.cli.publishing import publish, valid_cancel
    from shared.identifiers import EnrollmentId

    output, target, known_id = Output(as_json), find_target(), EnrollmentId(enrollment_id)
    known = asyncio.run(_find(target, known_id))
    owner = _owner_of(known, known_id, student)
    publish(target, valid_cancel(enrollment_id=enrollment_id, student_id=owner, reason=reason))
    if not wait:
        data = {"enrollment_id": enrollment_id}
        output.emit(data, f"{enrollment_id} is to be cancelled: ask for it with `enroll show`")
        return ExitCode.FINE
    output.progress(f"{enrollment_id} is to be cancelled; waiting for it")
    found = asyncio.run(_wait_until(_is_over, target, known_id, wait_seconds))
    _emit_outcome(known_id, found, output)
    is_cancelled = found is not None and found.state.value in {"cancelled", "unopened"}
    return ExitCode.FINE if is_cancelled else ExitCode.NOT_FINE


def show(*, enrollment_id: Id, as_json: JsonFlag = False) -> ExitCode:
    """Show an enrollment and what became of it.

    Its state and steps, what contradicted it, its dead letters; exit code 1 if it is unknown.
    """
    from services.cli.enrollment_story import read_story, story_data, story_parts
    from shared.identifiers import EnrollmentId

    story = asyncio.run(read_story(find_target(), EnrollmentId(enrollment_id)))
    Output(as_json).emit(story_data(story), *story_parts(story))
    return ExitCode.FINE if story.is_known else ExitCode.NOT_FINE


def sections(
    *,
    term: Annotated[str | None, typer.Option(help="Only this term's.")] = None,
    cancelled: Annotated[
        bool,
        typer.Option("--cancelled", help="Show who holds seats in sections that are cancelled."),
    ] = False,
    as_json: JsonFlag = False,
) -> ExitCode:
    """Show the seats of every section.

    With --cancelled: the enrollments that hold seats in cancelled sections. A cancelled section
    takes nobody any more, but whoever was in it stays until the enrollment itself is cancelled.
    """
    target = find_target()
    if cancelled:
        items = [one._asdict() for one in asyncio.run(_list_cancelled_seats(target, term))]
        columns, nothing = CANCELLED_COLUMNS, "No seat is held in a cancelled section."
    else:
        items = [_section_data(one) for one in asyncio.run(_list_sections(target, term))]
        columns = SECTION_COLUMNS
        nothing = "There are no sections: publish some with `enroll import`."
    table = Table(columns, [[item[name] for name in columns] for item in items])
    Output(as_json).emit({"items": items}, table if items else nothing)
    return ExitCode.FINE


def _section_data(section: "Section") -> dict[str, Any]:
    return {
        "term": section.key.term,
        "section_id": section.key.section_id,
        "state": section.state.value,
        "capacity": section.capacity,
        "reserved": section.reserved,
        "free": section.free,
        "version": section.version,
    }


async def _list_sections(target: Target, term: str | None) -> "list[Section]":
    from services.capacity.store import list_sections
    from shared.identifiers import Term

    async with transaction(target, "capacity") as begun:
        return await list_sections(begun, Term(term) if term is not None else None)


async def _list_cancelled_seats(target: Target, term: str | None) -> "list[HeldSeat]":
    from services.capacity.store import list_seats_in_cancelled_sections
    from shared.identifiers import Term

    async with reading(target, "capacity") as reader:
        return await list_seats_in_cancelled_sections(
            reader, Term(term) if term is not None else None
        )


async def _find(target: Target, enrollment_id: "EnrollmentId") -> "Enrollment | None":
    return await _wait_until(lambda _: True, target, enrollment_id, 0)


async def _wait_until(
    is_done: IsDone, target: Target, enrollment_id: "EnrollmentId", wait_seconds: float
) -> "Enrollment | None":
    """Look at an enrollment until it is done, or the time is over; gives what was last seen."""
    from services.enrollment.store import find_enrollment

    deadline = time.monotonic() + wait_seconds
    async with opened(target, "enrollment") as database:
        while True:
            async with database.transaction() as begun:
                found = await find_enrollment(begun, enrollment_id)
            if is_done(found) or time.monotonic() >= deadline:
                return found
            await asyncio.sleep(POLL_SECONDS)


def _is_decided(found: "Enrollment | None") -> bool:
    return found is not None and found.state.value in {"confirmed", "rejected", "cancelled"}


def _is_over(found: "Enrollment | None") -> bool:
    return found is not None and found.state.value in {"rejected", "cancelled", "unopened"}


def _owner_of(
    known: "Enrollment | None", enrollment_id: "EnrollmentId", student: str | None
) -> str:
    """Name the student to whom the enrollment belongs: nobody else can cancel it."""
    if known is None or known.state.value == "unopened":
        if student is None:
            raise CliError(
                f"enrollment {enrollment_id} is not known yet: say whose it is with --student"
            )
        return student
    if student not in {None, known.student_id}:
        raise CliError(
            f"enrollment {enrollment_id} does not belong to student {student}: leave out --student"
        )
    return known.student_id


def _require_same_request(found: "Enrollment | None", event: "EnrollmentRequested") -> None:
    if found is None or found.term is None:
        return
    known = (found.student_id, found.term, found.sections)
    if known != (event.student_id, event.term, event.sections):
        raise CliError(
            f"enrollment {event.enrollment_id} is another request's, which stays as it is "
            f"({found.state.value}): repeat yours with another --id",
            ExitCode.NOT_FINE,
        )


def _emit_outcome(
    enrollment_id: "EnrollmentId", found: "Enrollment | None", output: Output
) -> None:
    from services.cli.enrollment_story import outcome_data, outcome_line, reason_lines

    line, reasons = outcome_line(enrollment_id, found), found.reasons if found else ()
    output.emit(outcome_data(enrollment_id, found), line, *reason_lines(reasons))
