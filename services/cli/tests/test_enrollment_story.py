from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.capacity.model import Reservation, ReservationState
from services.cli.enrollment_story import (
    Step,
    outcome_line,
    read_story,
    story_data,
    story_parts,
    tell_steps,
)
from services.cli.output import Table
from services.cli.target import Target
from services.cli.tests.saga import a_request, park, play, publish_catalogs
from services.enrollment.model import Enrollment, EnrollmentState
from services.student.model import Claim, ClaimState
from shared.events import (
    EnrollmentCancellationRequested,
    EnrollmentCancelled,
    Reason,
    ReasonCode,
    Stage,
)
from shared.identifiers import EnrollmentId, SectionId, StudentId, Term

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
SOON, LATER = NOON + timedelta(seconds=1), NOON + timedelta(seconds=2)
ID = EnrollmentId(UUID(int=1))
FULL = (Reason(code=ReasonCode.SECTION_FULL, detail="Section a has no free seat."),)
CLOSED = (Reason(code=ReasonCode.STUDENT_HOLD, detail="A debt."),)


def enrollment(state: EnrollmentState, **changes: object) -> Enrollment:
    fields: dict[str, object] = {"opened_at": NOON, "decided_at": LATER, **changes}
    return Enrollment(ID, state, StudentId("s"), Term("t"), (SectionId("a"),), **fields)  # type: ignore[arg-type]


def claim(state: ClaimState, released_at: datetime | None = None, limit: int = 18) -> Claim:
    sections = (SectionId("a"),)
    return Claim(ID, StudentId("s"), state, Term("t"), sections, SOON, released_at, 0, limit)


def reservation(state: ReservationState, released_at: datetime | None = None) -> Reservation:
    sections = (SectionId("a"),)
    return Reservation(ID, StudentId("s"), state, True, Term("t"), sections, SOON, released_at)


def names(steps: list[Step]) -> list[tuple[str, str, datetime | None]]:
    return [(one.service, one.step, one.at) for one in steps]


def test_a_confirmed_enrollment_went_all_the_way() -> None:
    steps = tell_steps(
        enrollment(EnrollmentState.CONFIRMED),
        claim(ClaimState.CLAIMED),
        reservation(ReservationState.RESERVED),
    )

    assert names(steps) == [
        ("enrollment", "opened", NOON),
        ("student", "validated", SOON),
        ("capacity", "reserved", SOON),
        ("enrollment", "confirmed", LATER),
    ]


def test_a_refusal_by_student_carries_its_reasons_once() -> None:
    steps = tell_steps(
        enrollment(EnrollmentState.REJECTED, stage=Stage.ELIGIBILITY, reasons=CLOSED),
        claim(ClaimState.REFUSED, limit=0),
        None,
    )

    assert names(steps)[1:] == [("student", "refused", SOON), ("enrollment", "rejected", LATER)]
    assert [step.reasons for step in steps] == [(), CLOSED, ()]


def test_a_refusal_by_capacity_is_told_although_its_mark_has_come() -> None:
    steps = tell_steps(
        enrollment(EnrollmentState.REJECTED, stage=Stage.CAPACITY, reasons=FULL),
        claim(ClaimState.RELEASED, LATER),
        reservation(ReservationState.RELEASED, LATER),
    )

    assert names(steps) == [
        ("enrollment", "opened", NOON),
        ("student", "validated", SOON),
        ("capacity", "refused", SOON),
        ("enrollment", "rejected", LATER),
        ("student", "released", LATER),
        ("capacity", "released", LATER),
    ]


def test_a_deadline_carries_its_reason_with_the_outcome() -> None:
    late = (Reason(code=ReasonCode.DEADLINE, detail="Too late."),)

    steps = tell_steps(
        enrollment(EnrollmentState.REJECTED, stage=Stage.DEADLINE, reasons=late), None, None
    )

    assert names(steps)[-1] == ("enrollment", "rejected", LATER)
    assert steps[-1].reasons == late


def test_what_was_never_open_was_only_requested() -> None:
    steps = tell_steps(
        enrollment(EnrollmentState.REJECTED, stage=Stage.REQUEST, decided_at=NOON), None, None
    )

    assert names(steps)[0] == ("enrollment", "requested", NOON)


@pytest.mark.parametrize(
    ("known", "line"),
    [
        (None, f"{ID} unknown: it was never requested, or its request is still on its way"),
        (
            enrollment(EnrollmentState.REJECTED, stage=Stage.CAPACITY),
            f"{ID} rejected (stage capacity)",
        ),
        (
            enrollment(EnrollmentState.PENDING, deadline_at=LATER),
            f"{ID} pending until 2030-01-02 12:00:02.000+00:00 at the latest",
        ),
    ],
)
def test_a_state_is_told_in_a_line(known: Enrollment | None, line: str) -> None:
    assert outcome_line(ID, known) == line


async def test_a_story_is_read_from_all_three_databases(target: Target) -> None:
    await publish_catalogs(target)
    request = a_request()
    await play(target, request)
    await play(target, request.model_copy(update={"sections": ("b",)}))  # the id of another request
    await play(
        target,
        EnrollmentCancellationRequested(
            enrollment_id=request.enrollment_id, student_id=request.student_id, reason="moved"
        ),
    )
    await park(
        target,
        "capacity",
        EnrollmentCancelled(**request.model_dump(exclude={"deadline_seconds"}), was="confirmed"),
    )

    story = await read_story(target, request.enrollment_id)

    data = story_data(story)
    assert (data["state"], data["cancel_reason"]) == ("cancelled", "moved")
    assert [(step["service"], step["step"]) for step in data["steps"]] == [
        ("enrollment", "opened"),
        ("student", "validated"),
        ("capacity", "reserved or refused"),
        ("enrollment", "cancelled"),
        ("student", "released"),
        ("capacity", "released"),
    ]
    assert [conflict["kind"] for conflict in data["conflicts"]] == ["conflicting_duplicate"]
    [parked] = data["dead_letters"]
    assert (parked["service"], parked["event_type"]) == ("capacity", "EnrollmentCancelled")
    text = "\n".join(part for part in story_parts(story) if not isinstance(part, Table))
    assert "changed nothing" in text
    assert "enroll dead-letters show" in text


async def test_what_nobody_has_met_is_unknown(target: Target) -> None:
    story = await read_story(target, ID)

    assert not story.is_known
    assert story_data(story)["state"] == "unknown"
