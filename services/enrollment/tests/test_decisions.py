"""The rules of an enrollment's life, one by one."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.enrollment.handlers import REACTIONS, on_deadlines_passed
from services.enrollment.model import (
    ConflictKind,
    DeadlinePolicy,
    Enrollment,
    EnrollmentState,
    State,
)
from shared.choreography import REQUESTS, TOPIC_OF
from shared.events import (
    EnrollmentCancellationRequested,
    EnrollmentCancelled,
    EnrollmentConfirmed,
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
from shared.identifiers import EnrollmentId, EventId, SectionId, StudentId, Term
from shared.message import Arrival, Emitted, Message
from shared.reaction import Folded, Rows, fold
from shared.reasons import reason

NOW = datetime(2026, 1, 12, 8, 0, tzinfo=UTC)
POLICY = DeadlinePolicy(default_seconds=20, maximum_seconds=30)
ID = EnrollmentId(UUID(int=1))
TERM = Term("2026-1")
A, B = SectionId("A"), SectionId("B")
FULL = Reason(code=ReasonCode.SECTION_FULL, section_id=A, detail="Section A has no free seat.")


def requested(
    *sections: SectionId, student: str = "S1", deadline_seconds: float | None = None
) -> EnrollmentRequested:
    return EnrollmentRequested(
        enrollment_id=ID,
        student_id=StudentId(student),
        term=TERM,
        sections=sections or (A, B),
        deadline_seconds=deadline_seconds,
    )


def malformed(*, student: str = "S1", body: bytes = b"1" * 32, **valid: Any) -> MalformedRequest:
    return MalformedRequest(
        enrollment_id=ID,
        student_id=StudentId(student),
        problems=("sections: Field required", "term: Field required"),
        body_sha256=body,
        **valid,
    )


def cancel(student: str = "S1", reason: str | None = None) -> EnrollmentCancellationRequested:
    return EnrollmentCancellationRequested(
        enrollment_id=ID, student_id=StudentId(student), reason=reason
    )


def ineligible() -> StudentRejected:
    return StudentRejected(
        enrollment_id=ID,
        student_id=StudentId("S1"),
        term=TERM,
        sections=(A, B),
        reasons=(Reason(code=ReasonCode.CREDIT_LIMIT, detail="Your limit is 3."),),
    )


def reserved() -> SeatReserved:
    return SeatReserved(
        enrollment_id=ID, student_id=StudentId("S1"), term=TERM, sections=(A, B), seats=()
    )


def unavailable() -> SeatUnavailable:
    return SeatUnavailable(
        enrollment_id=ID,
        student_id=StudentId("S1"),
        term=TERM,
        sections=(A, B),
        seats=(),
        reasons=(FULL,),
    )


def fresh() -> State:
    return State(Rows({}), POLICY)


def apply(
    state: State, events: Sequence[Event], now: datetime = NOW, traceparent: str | None = None
) -> Folded:
    arrivals = [
        Arrival(
            Message(TOPIC_OF.get(type(event), REQUESTS).name, 0, 0, None, b"{}", ()),
            EventId(UUID(int=0)),
            event,
            traceparent,
        )
        for event in events
    ]
    return fold(state, arrivals, set(), REACTIONS, now)


def said(state: State, *events: Event, now: datetime = NOW) -> list[Event]:
    """Let enrollment react to events; give what it says. None of them may raise."""
    folded = apply(state, events, now)
    assert folded.parked == []
    return [one.event for one in folded.emitted]


def after(*events: Event) -> State:
    state = fresh()
    said(state, *events)
    return state


def overdue(state: State, seconds: float) -> list[Event]:
    return [one.event for one in on_deadlines_passed(state, NOW + timedelta(seconds=seconds))]


def enrollment_of(state: State) -> Enrollment:
    known = state.enrollments.get(ID)
    assert known is not None
    return known


def kinds(state: State) -> list[ConflictKind]:
    return [conflict.kind for conflict in state.conflicts]


def rejected(stage: Stage, *reasons: Reason) -> EnrollmentRejected:
    return EnrollmentRejected(
        enrollment_id=ID,
        student_id=StudentId("S1"),
        term=TERM,
        sections=(A, B),
        stage=stage,
        reasons=reasons,
    )


def types(events: Sequence[Event]) -> list[type[Event]]:
    return [type(event) for event in events]


PENDING = (requested(),)
CONFIRMED = (requested(), reserved())
REJECTED = (requested(), ineligible())
REFUSED = (malformed(body=b"0" * 32),)
CANCELLED = (requested(), cancel())
LIVES = [
    pytest.param(PENDING, id="pending"),
    pytest.param(CONFIRMED, id="confirmed"),
    pytest.param(REJECTED, id="rejected"),
    pytest.param(REFUSED, id="refused"),
    pytest.param(CANCELLED, id="cancelled"),
]


# A new id is opened, or refused.


def test_a_valid_request_is_opened() -> None:
    state = fresh()

    (event,) = said(state, requested())

    assert event == EnrollmentOpened(
        enrollment_id=ID,
        student_id=StudentId("S1"),
        term=TERM,
        sections=(A, B),
        deadline_at=NOW + timedelta(seconds=20),
    )
    assert enrollment_of(state).state is EnrollmentState.PENDING


@pytest.mark.parametrize(("asked", "granted"), [(None, 20), (0.5, 0.5), (30, 30), (31, 30)])
def test_the_deadline_is_what_was_asked_up_to_the_maximum(
    asked: float | None, granted: float
) -> None:
    state = fresh()

    (event,) = said(state, requested(deadline_seconds=asked))

    assert isinstance(event, EnrollmentOpened)
    assert event.deadline_at == NOW + timedelta(seconds=granted)


def test_a_default_above_the_maximum_is_cut_too() -> None:
    policy = DeadlinePolicy(default_seconds=60, maximum_seconds=30)

    deadline = policy.deadline(NOW, None)

    assert deadline == NOW + timedelta(seconds=30)


@pytest.mark.parametrize(
    "valid", [{}, {"term": TERM}, {"sections": (A,)}, {"term": TERM, "sections": (A, B)}]
)
def test_a_malformed_request_is_refused_with_what_was_valid_of_it(valid: dict[str, Any]) -> None:
    state = fresh()

    (event,) = said(state, malformed(**valid))

    assert event == EnrollmentRejected(
        enrollment_id=ID,
        student_id=StudentId("S1"),
        term=valid.get("term"),
        sections=valid.get("sections"),
        stage=Stage.REQUEST,
        reasons=(
            reason(ReasonCode.BAD_REQUEST, problem="sections: Field required"),
            reason(ReasonCode.BAD_REQUEST, problem="term: Field required"),
        ),
    )
    assert enrollment_of(state).state is EnrollmentState.REJECTED


# A known id never yields an event.


@pytest.mark.parametrize("life", [PENDING, CONFIRMED, REJECTED, CANCELLED])
def test_the_same_request_again_changes_nothing(life: Sequence[Event]) -> None:
    state = after(*life)
    before = enrollment_of(state)

    events = said(state, requested(), requested())

    assert events == []
    assert enrollment_of(state) is before
    assert state.conflicts == []


def test_the_same_malformed_request_again_changes_nothing() -> None:
    state = after(malformed())
    before = enrollment_of(state)

    events = said(state, malformed())

    assert events == []
    assert enrollment_of(state) is before
    assert state.conflicts == []


@pytest.mark.parametrize("life", LIVES)
@pytest.mark.parametrize(
    "other",
    [
        pytest.param(requested(A), id="other sections"),
        pytest.param(requested(B, A), id="another order"),
        pytest.param(requested(deadline_seconds=5), id="another deadline"),
        pytest.param(malformed(), id="malformed"),
        pytest.param(malformed(term=TERM, sections=(A, B)), id="malformed but for its sections"),
    ],
)
def test_another_body_under_a_known_id_is_recorded_and_says_nothing(
    life: Sequence[Event], other: EnrollmentRequested | MalformedRequest
) -> None:
    state = after(*life)
    before = enrollment_of(state)

    events = said(state, other)

    assert events == []
    assert enrollment_of(state) is before
    assert kinds(state) == [ConflictKind.CONFLICTING_DUPLICATE]


@pytest.mark.parametrize("life", LIVES)
@pytest.mark.parametrize("foreign", [requested(student="S2"), malformed(student="S2")])
def test_another_students_request_changes_nothing(
    life: Sequence[Event], foreign: EnrollmentRequested | MalformedRequest
) -> None:
    state = after(*life)
    before = enrollment_of(state)

    events = said(state, foreign)

    assert events == []
    assert enrollment_of(state) is before
    assert kinds(state) == [ConflictKind.FOREIGN_REQUEST]


@pytest.mark.parametrize("life", LIVES)
def test_another_students_cancel_changes_nothing(life: Sequence[Event]) -> None:
    state = after(*life)
    before = enrollment_of(state)

    events = said(state, cancel("S2"))

    assert events == []
    assert enrollment_of(state) is before
    assert kinds(state) == [ConflictKind.FOREIGN_CANCEL]


def test_a_conflict_tells_who_sent_what_and_when() -> None:
    state = after(requested())
    later = NOW + timedelta(seconds=5)

    said(state, malformed(student="S2"), now=later)

    (conflict,) = state.conflicts
    assert (conflict.enrollment_id, conflict.student_id) == (ID, "S2")
    assert (conflict.body_sha256, conflict.received_at) == (b"1" * 32, later)


# Cancelling.


@pytest.mark.parametrize(("life", "was"), [(PENDING, "pending"), (CONFIRMED, "confirmed")])
def test_what_is_pending_or_confirmed_can_be_cancelled(life: Sequence[Event], was: Any) -> None:
    state = after(*life)

    events = said(state, cancel(reason="I have changed my mind"))

    assert events == [
        EnrollmentCancelled(
            enrollment_id=ID, student_id=StudentId("S1"), term=TERM, sections=(A, B), was=was
        )
    ]
    assert enrollment_of(state).state is EnrollmentState.CANCELLED
    assert enrollment_of(state).cancel_reason == "I have changed my mind"


@pytest.mark.parametrize("life", [REJECTED, REFUSED, CANCELLED])
def test_what_has_ended_cannot_be_cancelled(life: Sequence[Event]) -> None:
    state = after(*life)
    before = enrollment_of(state)

    events = said(state, cancel())

    assert events == []
    assert enrollment_of(state) is before
    assert state.conflicts == []


def test_an_early_cancel_is_remembered_and_says_nothing() -> None:
    state = fresh()

    events = said(state, cancel(), cancel())

    assert events == []
    assert enrollment_of(state).state is EnrollmentState.UNOPENED
    assert enrollment_of(state).cancelled_by == ("S1",)


def test_a_request_that_was_cancelled_early_is_cancelled_at_once_and_never_opened() -> None:
    state = after(cancel())

    events = said(state, requested())

    assert events == [
        EnrollmentCancelled(
            enrollment_id=ID, student_id=StudentId("S1"), term=TERM, sections=(A, B), was="pending"
        )
    ]
    assert enrollment_of(state).state is EnrollmentState.CANCELLED


def test_an_early_cancel_by_another_student_does_not_count() -> None:
    state = after(cancel("S2"))

    events = said(state, requested())

    assert types(events) == [EnrollmentOpened]
    assert enrollment_of(state).student_id == "S1"


@pytest.mark.parametrize("order", [("S1", "S2"), ("S2", "S1")])
def test_an_early_cancel_counts_among_others(order: tuple[str, str]) -> None:
    state = after(*[cancel(student) for student in order])

    events = said(state, requested())

    assert types(events) == [EnrollmentCancelled]
    assert [event.student_id for event in events if isinstance(event, EnrollmentCancelled)] == [
        "S1"
    ]


def test_a_malformed_request_that_was_cancelled_early_is_refused() -> None:
    state = after(cancel())

    events = said(state, malformed())

    assert types(events) == [EnrollmentRejected]
    assert enrollment_of(state).state is EnrollmentState.REJECTED


# The answers of student and capacity.


def test_reserved_seats_confirm() -> None:
    state = after(requested())

    events = said(state, reserved())

    assert events == [
        EnrollmentConfirmed(
            enrollment_id=ID, student_id=StudentId("S1"), term=TERM, sections=(A, B)
        )
    ]
    assert enrollment_of(state).state is EnrollmentState.CONFIRMED


def test_an_ineligible_student_is_rejected_with_every_reason() -> None:
    state = after(requested())

    events = said(state, ineligible())

    assert events == [rejected(Stage.ELIGIBILITY, *ineligible().reasons)]
    assert enrollment_of(state).stage is Stage.ELIGIBILITY
    assert enrollment_of(state).reasons == ineligible().reasons


def test_missing_seats_reject_with_every_reason() -> None:
    state = after(requested())

    events = said(state, unavailable())

    assert events == [rejected(Stage.CAPACITY, FULL)]


@pytest.mark.parametrize("life", [CONFIRMED, REJECTED, REFUSED, CANCELLED, (cancel(),)])
@pytest.mark.parametrize("late", [ineligible(), reserved(), unavailable()])
def test_an_answer_that_comes_too_late_changes_nothing(life: Sequence[Event], late: Event) -> None:
    state = after(*life)
    before = enrollment_of(state)

    events = said(state, late)

    assert events == []
    assert enrollment_of(state) is before


@pytest.mark.parametrize("answer", [ineligible(), reserved(), unavailable()])
def test_an_answer_about_an_unknown_enrollment_is_nothing(answer: Event) -> None:
    state = fresh()

    events = said(state, answer)

    assert events == []
    assert state.enrollments.changed() == []


# The deadline.


@pytest.mark.parametrize(("seconds", "is_over"), [(19.999, False), (20, True), (500, True)])
def test_what_is_pending_is_rejected_at_its_deadline(seconds: float, is_over: bool) -> None:
    state = after(requested())

    events = overdue(state, seconds)

    assert types(events) == ([EnrollmentRejected] if is_over else [])


def test_the_deadlines_reason_says_what_was_awaited() -> None:
    state = after(requested())

    events = overdue(state, 20)

    assert events == [rejected(Stage.DEADLINE, reason(ReasonCode.DEADLINE))]
    assert "eligibility and seats" in enrollment_of(state).reasons[0].detail


@pytest.mark.parametrize("life", [CONFIRMED, REJECTED, REFUSED, CANCELLED, (cancel(),)])
def test_a_deadline_ends_only_what_is_pending(life: Sequence[Event]) -> None:
    state = after(*life)

    events = overdue(state, 500)

    assert events == []


def test_seats_that_come_after_the_deadline_change_nothing() -> None:
    state = after(requested())
    overdue(state, 20)
    before = enrollment_of(state)

    events = said(state, reserved(), now=NOW + timedelta(seconds=21))

    assert events == []
    assert enrollment_of(state) is before


def test_seats_that_come_after_the_deadline_but_before_it_is_noticed_confirm() -> None:
    state = after(requested())

    events = said(state, reserved(), now=NOW + timedelta(seconds=21))

    assert types(events) == [EnrollmentConfirmed]
    assert overdue(state, 22) == []


# Traces.


def test_every_outcome_continues_the_trace_of_the_request() -> None:
    state = fresh()
    apply(state, [requested()], traceparent="of the request")

    folded = apply(state, [reserved()], traceparent="of the seats")

    assert [emitted.traceparent for emitted in folded.emitted] == ["of the request"]


def test_a_deadlines_outcome_continues_the_trace_of_the_request() -> None:
    state = fresh()
    apply(state, [requested()], traceparent="of the request")

    emitted: list[Emitted] = on_deadlines_passed(state, NOW + timedelta(seconds=20))

    assert [one.traceparent for one in emitted] == ["of the request"]
