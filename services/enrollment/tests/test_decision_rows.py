"""What a decision keeps, field by field: the times, the trace and the hash of the request too."""

from datetime import timedelta
from hashlib import sha256

import pytest

from services.enrollment import decisions
from services.enrollment.decisions import Decision
from services.enrollment.model import Conflict, ConflictKind, Enrollment, EnrollmentState
from services.enrollment.tests.test_decisions import (
    ID,
    NOW,
    POLICY,
    TERM,
    A,
    B,
    cancel,
    ineligible,
    malformed,
    requested,
    reserved,
    unavailable,
)
from shared.events import ReasonCode, SeatUnavailable, Stage, StudentRejected
from shared.identifiers import StudentId
from shared.reasons import reason

LATER = NOW + timedelta(seconds=60)
IDS = f'"enrollment_id":"{ID}","student_id":"S1"'
REQUEST_SHA256 = sha256(f'{{{IDS},"term":"2026-1","sections":["A","B"]}}'.encode()).digest()
CANCEL_SHA256 = sha256(f"{{{IDS.replace('S1', 'S2')}}}".encode()).digest()
PENDING = Enrollment(
    enrollment_id=ID,
    state=EnrollmentState.PENDING,
    student_id=StudentId("S1"),
    term=TERM,
    sections=(A, B),
    body_sha256=REQUEST_SHA256,
    opened_at=NOW,
    deadline_at=NOW + timedelta(seconds=20),
    traceparent="trace",
)
EARLY = Enrollment(
    enrollment_id=ID,
    state=EnrollmentState.UNOPENED,
    student_id=StudentId("S1"),
    decided_at=NOW,
    cancelled_by=(StudentId("S1"),),
)


def ended(state: EnrollmentState, **more: object) -> Enrollment:
    fields = {name: getattr(PENDING, name) for name in PENDING.__dataclass_fields__}
    return Enrollment(**fields | {"state": state, "decided_at": LATER} | more)


def test_an_opened_request_is_kept_with_its_time_its_hash_and_its_trace() -> None:
    decision = decisions.request(None, requested(), POLICY, NOW, "trace")

    assert decision.enrollment == PENDING


def test_a_request_is_kept_with_the_time_at_which_it_was_made() -> None:
    for event in (requested(), malformed()):
        decision = decisions.request(None, event, POLICY, LATER, "trace", requested_at=NOW)

        assert decision.enrollment is not None
        assert decision.enrollment.requested_at == NOW


def test_a_malformed_request_is_kept_with_its_time_its_hash_and_its_trace() -> None:
    decision = decisions.request(None, malformed(), POLICY, LATER, "trace")

    assert decision.enrollment == Enrollment(
        enrollment_id=ID,
        state=EnrollmentState.REJECTED,
        student_id=StudentId("S1"),
        body_sha256=b"1" * 32,
        opened_at=LATER,
        decided_at=LATER,
        stage=Stage.REQUEST,
        reasons=tuple(
            reason(ReasonCode.BAD_REQUEST, problem=problem) for problem in malformed().problems
        ),
        traceparent="trace",
    )


def test_an_early_cancel_is_kept_with_its_student_and_its_time() -> None:
    assert decisions.cancel(None, cancel(), NOW) == Decision(EARLY)


def test_a_request_that_was_cancelled_early_is_decided_when_it_comes() -> None:
    decision = decisions.request(EARLY, requested(), POLICY, LATER, "trace")

    deadline = {"opened_at": LATER, "deadline_at": LATER + timedelta(seconds=20)}
    assert decision.enrollment == ended(EnrollmentState.CANCELLED, **deadline)


def test_a_confirmation_keeps_its_time() -> None:
    decision = decisions.confirm(PENDING, reserved(), LATER)

    assert decision.enrollment == ended(EnrollmentState.CONFIRMED)


@pytest.mark.parametrize(
    ("answer", "stage"), [(ineligible(), Stage.ELIGIBILITY), (unavailable(), Stage.CAPACITY)]
)
def test_a_refusal_is_kept_with_its_stage_its_reasons_and_its_time(
    answer: StudentRejected | SeatUnavailable, stage: Stage
) -> None:
    decision = decisions.reject(PENDING, answer, LATER)

    kept = {"stage": stage, "reasons": answer.reasons}
    assert decision.enrollment == ended(EnrollmentState.REJECTED, **kept)


def test_what_its_deadline_rejects_is_kept_with_its_reason_and_its_time() -> None:
    decision = decisions.expire(PENDING, LATER)

    kept = {"stage": Stage.DEADLINE, "reasons": (reason(ReasonCode.DEADLINE),)}
    assert decision.enrollment == ended(EnrollmentState.REJECTED, **kept)


@pytest.mark.parametrize("state", [EnrollmentState.PENDING, EnrollmentState.CONFIRMED])
def test_a_cancellation_keeps_its_remark_and_its_time(state: EnrollmentState) -> None:
    known = ended(state, decided_at=NOW)

    decision = decisions.cancel(known, cancel(reason="moved"), LATER)

    assert decision.enrollment == ended(EnrollmentState.CANCELLED, cancel_reason="moved")


def test_another_body_is_kept_with_its_hash_and_its_time() -> None:
    decision = decisions.request(PENDING, malformed(), POLICY, LATER, "trace")

    kind = ConflictKind.CONFLICTING_DUPLICATE
    assert decision == Decision(
        conflict=Conflict(ID, StudentId("S1"), kind, b"1" * 32, LATER),
    )


def test_a_foreign_cancel_is_kept_with_its_hash_and_its_time() -> None:
    decision = decisions.cancel(PENDING, cancel("S2"), LATER)

    kind = ConflictKind.FOREIGN_CANCEL
    assert decision == Decision(
        conflict=Conflict(ID, StudentId("S2"), kind, CANCEL_SHA256, LATER),
    )


def test_what_a_request_leaves_out_does_not_count_in_its_hash() -> None:
    """Else a new optional field would turn every repeat of an old request into another body."""
    assert decisions.body_hash(requested()) == REQUEST_SHA256
