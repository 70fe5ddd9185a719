"""What an enrollment's happenings say of the steps of its saga: a pure function of them."""

from datetime import datetime

from services.enrollment.ingress.view.model import (
    Happening,
    Status,
    Step,
    StepName,
    StepStatus,
    ViewedEnrollment,
)
from shared.events import (
    EnrollmentConfirmed,
    EnrollmentOpened,
    Reason,
    SeatReleased,
    SeatReserved,
    SeatUnavailable,
    Stage,
    StudentClaimReleased,
    StudentRejected,
    StudentValidated,
)

VALIDATED = StudentValidated.__name__
RESERVED = SeatReserved.__name__
STUDENTS_ANSWERS = frozenset({VALIDATED, StudentRejected.__name__})
CAPACITYS_ANSWERS = frozenset({RESERVED, SeatUnavailable.__name__})
CANCELLED = "cancelled"  # the reason of a step that a cancellation cut short


def steps(enrollment: ViewedEnrollment) -> tuple[Step, ...]:
    """Tell how far each step is, and what gives back; nothing where the happenings were pruned."""
    if enrollment.happenings is None:
        return ()
    told = _Told(enrollment, {one.event: one for one in enrollment.happenings})
    return (
        told.step(
            StepName.VALIDATE_STUDENT,
            enrollment.opened_at,
            done=VALIDATED,
            refused=StudentRejected.__name__,
            is_implied=told.was_confirmed or told.was_validated,
        ),
        told.step(
            StepName.RESERVE_SECTIONS,
            told.at(VALIDATED),
            done=RESERVED,
            refused=SeatUnavailable.__name__,
            is_implied=told.was_confirmed,
        ),
        told.step(
            StepName.CONFIRM,
            told.at(RESERVED),
            done=EnrollmentConfirmed.__name__,
            refused=None,
            is_implied=told.was_confirmed,
        ),
        told.compensation(StepName.RELEASE_SECTIONS, RESERVED, SeatReleased.__name__),
        told.compensation(StepName.RELEASE_STUDENT, VALIDATED, StudentClaimReleased.__name__),
    )


class _Told:
    """An enrollment, and what was heard of it so far; a later event may come before its cause."""

    def __init__(self, enrollment: ViewedEnrollment, heard: dict[str, Happening]) -> None:
        self._enrollment = enrollment
        self._heard = heard
        self._is_over = enrollment.status in {Status.REJECTED, Status.CANCELLED}
        self.was_confirmed = enrollment.status is Status.CONFIRMED or enrollment.was == "confirmed"
        self.was_validated = RESERVED in heard or enrollment.stage is Stage.CAPACITY

    def at(self, event: str) -> datetime | None:
        """Tell when something happened."""
        happening = self._heard.get(event)
        return None if happening is None else happening.at

    def step(
        self,
        name: StepName,
        started_at: datetime | None,
        *,
        done: str,
        refused: str | None,
        is_implied: bool,
    ) -> Step:
        """Tell how far a step is that begins when the one before is done."""
        if done in self._heard or is_implied:
            return Step(name, StepStatus.COMPLETED, 1, started_at, self.at(done))
        if refused is not None and refused in self._heard:
            refusal = self._heard[refused]
            reason = _codes(refusal.reasons)
            return Step(name, StepStatus.FAILED, 1, started_at, refusal.at, reason)
        if self._is_over:
            return self._cut_short(name, started_at)
        if started_at is None:
            return Step(name, StepStatus.WAITING)
        return Step(name, StepStatus.RUNNING, 1, started_at)

    def _cut_short(self, name: StepName, started_at: datetime | None) -> Step:
        """A step that nobody answered in time has failed; one that begins after the end is none."""
        ended_at = self._enrollment.decided_at
        if started_at is None or ended_at is None or started_at >= ended_at:
            return Step(name, StepStatus.SKIPPED)
        if self._enrollment.status is Status.CANCELLED:
            return Step(name, StepStatus.SKIPPED, 1, started_at, ended_at, CANCELLED)
        reason = _codes(self._enrollment.reasons)
        return Step(name, StepStatus.FAILED, 1, started_at, ended_at, reason)

    def compensation(self, name: StepName, taken: str, given_back: str) -> Step:
        """Tell how far it is to give back what a step took."""
        if not self._is_over:
            is_pending = self._enrollment.status is Status.PENDING
            return Step(name, StepStatus.WAITING if is_pending else StepStatus.SKIPPED)
        was_taken = taken in self._heard or self._enrollment.was == "confirmed"
        if not was_taken and given_back not in self._heard:
            return Step(name, StepStatus.SKIPPED)
        times = [at for at in (self._enrollment.decided_at, self.at(taken)) if at is not None]
        started_at, ended_at = max(times, default=None), self.at(given_back)
        status = StepStatus.RUNNING if ended_at is None else StepStatus.COMPLETED
        return Step(name, status, 1, started_at, ended_at)


def _codes(reasons: tuple[Reason, ...]) -> str | None:
    return ", ".join(sorted({str(reason.code) for reason in reasons})) or None


def awaits_answers(enrollment: ViewedEnrollment) -> bool:
    """Tell whether a service has not answered yet, which it always does, or nobody has heard it.

    An operator who discards a question can make this wait for ever.
    """
    heard = {one.event for one in enrollment.happenings or ()}
    awaits_student = EnrollmentOpened.__name__ in heard and not heard & STUDENTS_ANSWERS
    return awaits_student or (VALIDATED in heard and not heard & CAPACITYS_ANSWERS)
