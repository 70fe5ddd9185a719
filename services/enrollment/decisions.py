"""The rules of an enrollment's life: pure functions of what is known, an event, and the time."""

from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Literal, assert_never

from services.enrollment.model import (
    Conflict,
    ConflictKind,
    DeadlinePolicy,
    Enrollment,
    EnrollmentState,
)
from shared.events import (
    EnrollmentCancellationRequested,
    EnrollmentCancelled,
    EnrollmentConfirmed,
    EnrollmentEvent,
    EnrollmentOpened,
    EnrollmentRejected,
    EnrollmentRequested,
    Event,
    MalformedRequest,
    Reason,
    ReasonCode,
    SeatReserved,
    SeatUnavailable,
    Stage,
    StudentRejected,
)
from shared.reasons import reason


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be kept and said; an empty one changes nothing."""

    enrollment: Enrollment | None = None
    events: tuple[Event, ...] = ()
    conflict: Conflict | None = None


NOTHING = Decision()


def body_hash(event: EnrollmentRequested | MalformedRequest) -> bytes:
    """Tell requests apart by their content; how the JSON was laid out does not count."""
    if isinstance(event, MalformedRequest):
        return event.body_sha256
    return sha256(event.model_dump_json(exclude_none=True).encode()).digest()


def request(
    known: Enrollment | None,
    event: EnrollmentRequested | MalformedRequest,
    policy: DeadlinePolicy,
    now: datetime,
    traceparent: str | None,
    *,
    requested_at: datetime | None = None,
) -> Decision:
    """Open a new enrollment, or refuse it; the id is looked up before the content is judged."""
    if known is not None and known.state is not EnrollmentState.UNOPENED:
        return _repeat(known, event, now)
    if isinstance(event, MalformedRequest):
        return _refuse(event, now, traceparent, requested_at)
    was_cancelled = known is not None and event.student_id in known.cancelled_by
    new = Enrollment(
        enrollment_id=event.enrollment_id,
        state=EnrollmentState.PENDING,
        student_id=event.student_id,
        term=event.term,
        sections=event.sections,
        body_sha256=body_hash(event),
        opened_at=now,
        deadline_at=policy.deadline(now, event.deadline_seconds),
        traceparent=traceparent,
        requested_at=requested_at,
    )
    return _cancel(new, "pending", None, now) if was_cancelled else _open(new)


def _open(new: Enrollment) -> Decision:
    assert new.term is not None
    assert new.deadline_at is not None
    opened = EnrollmentOpened(
        enrollment_id=new.enrollment_id,
        student_id=new.student_id,
        term=new.term,
        sections=new.sections,
        deadline_at=new.deadline_at,
    )
    return Decision(new, (opened,))


def _repeat(
    known: Enrollment, event: EnrollmentRequested | MalformedRequest, now: datetime
) -> Decision:
    digest = body_hash(event)
    if event.student_id != known.student_id:
        return _conflict(event, ConflictKind.FOREIGN_REQUEST, digest, now)
    if digest != known.body_sha256:
        return _conflict(event, ConflictKind.CONFLICTING_DUPLICATE, digest, now)
    return NOTHING


def _conflict(event: EnrollmentEvent, kind: ConflictKind, digest: bytes, now: datetime) -> Decision:
    return Decision(conflict=Conflict(event.enrollment_id, event.student_id, kind, digest, now))


def _refuse(
    event: MalformedRequest,
    now: datetime,
    traceparent: str | None,
    requested_at: datetime | None,
) -> Decision:
    new = Enrollment(
        enrollment_id=event.enrollment_id,
        state=EnrollmentState.PENDING,
        student_id=event.student_id,
        term=event.term,
        sections=event.sections or (),
        body_sha256=event.body_sha256,
        opened_at=now,
        traceparent=traceparent,
        requested_at=requested_at,
    )
    reasons = tuple(reason(ReasonCode.BAD_REQUEST, problem=problem) for problem in event.problems)
    return _reject(new, Stage.REQUEST, reasons, now)


def confirm(known: Enrollment | None, event: SeatReserved, now: datetime) -> Decision:
    """Confirm what is still pending."""
    if known is None or known.state is not EnrollmentState.PENDING:
        return NOTHING
    confirmed = EnrollmentConfirmed(
        enrollment_id=known.enrollment_id,
        student_id=known.student_id,
        term=event.term,
        sections=known.sections,
    )
    return Decision(replace(known, state=EnrollmentState.CONFIRMED, decided_at=now), (confirmed,))


def reject(
    known: Enrollment | None, event: StudentRejected | SeatUnavailable, now: datetime
) -> Decision:
    """Reject what is still pending, with the reasons of the service that refused."""
    if known is None or known.state is not EnrollmentState.PENDING:
        return NOTHING
    stage = Stage.ELIGIBILITY if isinstance(event, StudentRejected) else Stage.CAPACITY
    return _reject(known, stage, event.reasons, now)


def expire(known: Enrollment, now: datetime) -> Decision:
    """Reject what is still pending at its deadline."""
    if known.state is not EnrollmentState.PENDING or known.deadline_at is None:
        return NOTHING
    if now < known.deadline_at:
        return NOTHING
    return _reject(known, Stage.DEADLINE, (reason(ReasonCode.DEADLINE),), now)


def _reject(
    known: Enrollment, stage: Stage, reasons: tuple[Reason, ...], now: datetime
) -> Decision:
    rejected = EnrollmentRejected(
        enrollment_id=known.enrollment_id,
        student_id=known.student_id,
        term=known.term,
        sections=known.sections or None,
        stage=stage,
        reasons=reasons,
    )
    ended = replace(
        known, state=EnrollmentState.REJECTED, stage=stage, reasons=reasons, decided_at=now
    )
    return Decision(ended, (rejected,))


def cancel(
    known: Enrollment | None, event: EnrollmentCancellationRequested, now: datetime
) -> Decision:
    """Cancel what is pending or confirmed; remember a cancel that comes before its request."""
    if known is None:
        return Decision(
            Enrollment(
                enrollment_id=event.enrollment_id,
                state=EnrollmentState.UNOPENED,
                student_id=event.student_id,
                decided_at=now,
                cancelled_by=(event.student_id,),
            )
        )
    if known.state is EnrollmentState.UNOPENED:
        return _remember(known, event)
    if event.student_id != known.student_id:
        digest = sha256(event.model_dump_json(exclude_none=True).encode()).digest()
        return _conflict(event, ConflictKind.FOREIGN_CANCEL, digest, now)
    match known.state:
        case EnrollmentState.PENDING:
            return _cancel(known, "pending", event.reason, now)
        case EnrollmentState.CONFIRMED:
            return _cancel(known, "confirmed", event.reason, now)
        case EnrollmentState.REJECTED | EnrollmentState.CANCELLED:
            return NOTHING
        case unreachable:
            assert_never(unreachable)


def _remember(known: Enrollment, event: EnrollmentCancellationRequested) -> Decision:
    if event.student_id in known.cancelled_by:
        return NOTHING
    return Decision(replace(known, cancelled_by=(*known.cancelled_by, event.student_id)))


def _cancel(
    known: Enrollment, was: Literal["pending", "confirmed"], reason: str | None, now: datetime
) -> Decision:
    assert known.term is not None  # only a valid request is ever pending or confirmed
    cancelled = EnrollmentCancelled(
        enrollment_id=known.enrollment_id,
        student_id=known.student_id,
        term=known.term,
        sections=known.sections,
        was=was,
    )
    ended = replace(known, state=EnrollmentState.CANCELLED, decided_at=now, cancel_reason=reason)
    return Decision(ended, (cancelled,))
