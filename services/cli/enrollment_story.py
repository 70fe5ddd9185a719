"""What the three services know of one enrollment, told in the order in which it happened."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from services.capacity import store as reservations
from services.capacity.model import Reservation, ReservationState
from services.cli.output import Table, show_time
from services.cli.target import SERVICES, Target, transaction
from services.enrollment import store as enrollments
from services.enrollment.model import Conflict, Enrollment, EnrollmentState
from services.student import store as claims
from services.student.model import Claim, ClaimState
from shared import letter_rows
from shared.dead_letter import DeadLetter
from shared.events import Reason, Stage
from shared.identifiers import EnrollmentId
from shared.letter_rows import Wanted

NOTES = {
    "unknown": "it was never requested, or its request is still on its way",
    "unopened": "its request has not come; it will be cancelled as soon as it does",
}
ENDED = {EnrollmentState.CONFIRMED, EnrollmentState.REJECTED, EnrollmentState.CANCELLED}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the saga; `at` is None where a later step has overwritten the time."""

    step: str
    service: str
    at: datetime | None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that is known of one enrollment."""

    enrollment_id: EnrollmentId
    enrollment: Enrollment | None
    steps: Sequence[Step]
    conflicts: Sequence[Conflict]
    dead_letters: Sequence[tuple[str, DeadLetter]]  # with the service that parked it

    @property
    def is_known(self) -> bool:
        """Tell whether any service has met the enrollment."""
        return bool(self.enrollment or self.steps or self.dead_letters)


async def read_story(target: Target, enrollment_id: EnrollmentId) -> Story:
    """Ask the three databases."""
    async with transaction(target, "enrollment") as begun:
        enrollment = await enrollments.find_enrollment(begun, enrollment_id)
        conflicts = await enrollments.find_conflicts(begun, enrollment_id)
    async with transaction(target, "student") as begun:
        claim = await claims.find_claim(begun, enrollment_id)
    async with transaction(target, "capacity") as begun:
        reservation = await reservations.find_reservation(begun, enrollment_id)
    parked = []
    for service in SERVICES:
        async with transaction(target, service) as begun:
            letters = await letter_rows.read(begun, Wanted(enrollment_id))
        parked += [(service, letter) for letter in letters]
    steps = tell_steps(enrollment, claim, reservation)
    return Story(enrollment_id, enrollment, steps, conflicts, parked)


def tell_steps(
    enrollment: Enrollment | None, claim: Claim | None, reservation: Reservation | None
) -> list[Step]:
    """Put together what each service's row says of the steps."""
    return [
        *_opening(enrollment),
        *_validation(enrollment, claim),
        *_seats(enrollment, reservation),
        *_outcome(enrollment),
        *_releases(claim, reservation),
    ]


def _opening(enrollment: Enrollment | None) -> list[Step]:
    if enrollment is None or enrollment.opened_at is None:
        return []
    was_ended_at_once = enrollment.opened_at == enrollment.decided_at  # and never said to be open
    step = "requested" if was_ended_at_once else "opened"
    return [Step(step, "enrollment", enrollment.opened_at)]


def _validation(enrollment: Enrollment | None, claim: Claim | None) -> list[Step]:
    reasons = _reasons_at(enrollment, Stage.ELIGIBILITY)
    if claim is not None and claim.state is ClaimState.CLAIMED:
        return [Step("validated", "student", claim.decided_at)]
    if claim is not None and claim.state is ClaimState.REFUSED:
        return [Step("refused", "student", claim.decided_at, reasons)]
    if reasons and claim is not None:
        return [Step("refused", "student", claim.decided_at, reasons)]
    if claim is not None and (claim.credit_limit or claim.slots):
        return [Step("validated", "student", claim.decided_at)]
    return []


def _seats(enrollment: Enrollment | None, reservation: Reservation | None) -> list[Step]:
    reasons = _reasons_at(enrollment, Stage.CAPACITY)
    if reservation is not None and reservation.state is ReservationState.RESERVED:
        return [Step("reserved", "capacity", reservation.decided_at)]
    if reservation is not None and reservation.state is ReservationState.REFUSED:
        return [Step("refused", "capacity", reservation.decided_at, reasons)]
    if reasons and reservation is not None:
        return [Step("refused", "capacity", reservation.decided_at, reasons)]
    if reservation is not None and reservation.is_answered:
        # A release keeps no more than that there was an answer, and when.
        return [Step("reserved or refused", "capacity", reservation.decided_at)]
    return []


def _outcome(enrollment: Enrollment | None) -> list[Step]:
    if enrollment is None:
        return []
    if enrollment.state is EnrollmentState.UNOPENED:
        return [Step("cancelled before its request", "enrollment", enrollment.decided_at)]
    if enrollment.state not in ENDED:
        return []
    told = enrollment.stage in {Stage.ELIGIBILITY, Stage.CAPACITY}  # by the step that refused
    reasons = () if told else enrollment.reasons
    return [Step(enrollment.state.value, "enrollment", enrollment.decided_at, reasons)]


def _releases(claim: Claim | None, reservation: Reservation | None) -> list[Step]:
    steps = []
    if claim is not None and claim.state is ClaimState.RELEASED:
        steps.append(Step("released", "student", claim.released_at))
    if reservation is not None and reservation.state is ReservationState.RELEASED:
        steps.append(Step("released", "capacity", reservation.released_at))
    return steps


def _reasons_at(enrollment: Enrollment | None, stage: Stage) -> tuple[Reason, ...]:
    return enrollment.reasons if enrollment is not None and enrollment.stage is stage else ()


def outcome_data(enrollment_id: EnrollmentId, enrollment: Enrollment | None) -> dict[str, Any]:
    """Give state, stage and reasons for programs."""
    return {
        "enrollment_id": enrollment_id,
        "state": enrollment.state.value if enrollment else "unknown",
        "stage": enrollment.stage.value if enrollment and enrollment.stage else None,
        "reasons": reasons_data(enrollment.reasons if enrollment else ()),
    }


def outcome_line(enrollment_id: EnrollmentId, enrollment: Enrollment | None) -> str:
    """Give state and stage for people."""
    state = enrollment.state.value if enrollment else "unknown"
    line = f"{enrollment_id} {state}"
    if enrollment is not None and enrollment.stage is not None:
        line += f" (stage {enrollment.stage})"
    if enrollment is not None and state == "pending" and enrollment.deadline_at is not None:
        line += f" until {show_time(enrollment.deadline_at)} at the latest"
    return f"{line}: {NOTES[state]}" if state in NOTES else line


def reasons_data(reasons: Sequence[Reason]) -> list[dict[str, Any]]:
    """Give reasons for programs."""
    return [reason.model_dump(mode="json", exclude_none=True) for reason in reasons]


def reason_lines(reasons: Sequence[Reason]) -> list[str]:
    """Give reasons for people."""
    return [f"  {reason.code}: {reason.detail}" for reason in reasons]


def story_data(story: Story) -> dict[str, Any]:
    """Give the whole story for programs."""
    known = story.enrollment
    return outcome_data(story.enrollment_id, known) | {
        "student_id": known.student_id if known else None,
        "term": known.term if known else None,
        "sections": known.sections if known else (),
        "deadline_at": known.deadline_at if known else None,
        "cancel_reason": known.cancel_reason if known else None,
        "traceparent": known.traceparent if known else None,
        "steps": [
            {"step": s.step, "service": s.service, "at": s.at, "reasons": reasons_data(s.reasons)}
            for s in story.steps
        ],
        "conflicts": [asdict(conflict) for conflict in story.conflicts],
        "dead_letters": [letter_data(service, one) for service, one in story.dead_letters],
    }


def letter_data(service: str, letter: DeadLetter) -> dict[str, Any]:
    """Give a dead letter for programs."""
    return {
        "service": service,
        "id": letter.id,
        "topic": letter.message.topic,
        "partition": letter.message.partition,
        "offset": letter.message.offset,
        "reason": letter.reason,
        "detail": letter.detail,
        "event_type": letter.event_type,
        "enrollment_id": letter.enrollment_id,
        "holds": letter.holds,
        "parked_at": letter.parked_at,
    }


def story_parts(story: Story) -> list[str | Table]:
    """Give the whole story for people."""
    known = story.enrollment
    parts: list[str | Table] = [outcome_line(story.enrollment_id, known)]
    if known is not None and known.term is not None:
        parts.append(f"  student {known.student_id}, {known.term}: {' '.join(known.sections)}")
    rows = [(step.at, step.service, step.step) for step in story.steps]
    parts += [Table(("at", "service", "step"), rows)] if rows else []
    parts += [line for step in story.steps for line in reason_lines(step.reasons)]
    parts += [
        f"  {c.kind} of student {c.student_id} at {c.received_at:%F %T} changed nothing"
        for c in story.conflicts
    ]
    parts += [
        f"  {service} has parked dead letter {one.id}: {one.event_type}, {one.detail}; "
        f"see `enroll dead-letters show {one.id} --service {service}`"
        for service, one in story.dead_letters
    ]
    return parts
