"""What the view shows after an event, and what an event does not change."""

from dataclasses import replace

import pytest

from services.enrollment.ingress.tests.view_making import (
    BAD,
    FULL,
    HAPPY,
    ID,
    LATE,
    OVERDUE,
    S1,
    S2,
    SECTIONS,
    STORIES,
    TERM,
    A,
    arrival_of,
    at,
    cancelled,
    claim_released,
    confirmed,
    fresh,
    hear,
    opened,
    published,
    rejected,
    requested,
    seat_released,
    seat_reserved,
    seat_unavailable,
    seen,
    timed,
    validated,
)
from services.enrollment.ingress.view.model import (
    Happening,
    SagaStatus,
    Status,
    ViewedEnrollment,
    ViewedSection,
)
from shared.events import EnrollmentCancellationRequested, SectionState, SectionWithdrawn, Stage
from shared.identifiers import CourseId, SectionKey, Term
from shared.message import Arrival, Message

KEY = SectionKey(TERM, A)


def pruned(enrollment: ViewedEnrollment) -> ViewedEnrollment:
    return replace(enrollment, happenings=None)


def heard_after(known: ViewedEnrollment, *arrivals: Arrival) -> ViewedEnrollment | None:
    """What is to be saved after more has come; None: nothing."""
    state = fresh()
    state.enrollments.put(ID, known)
    before = state.enrollments.get(ID)
    hear(state, arrivals)
    after = state.enrollments.get(ID)
    return None if after == before else after


def test_a_request_is_shown_before_anybody_has_decided_it() -> None:
    shown = seen(requested())

    assert shown == ViewedEnrollment(
        enrollment_id=ID,
        student_id=S1,
        status=Status.PENDING,
        requested_at=at(0),
        term=TERM,
        sections=SECTIONS,
        happenings=(Happening("EnrollmentRequested", at(0)),),
    )


def test_a_request_of_which_the_broker_tells_no_time_came_just_now() -> None:
    state = fresh()
    message = Message("enrollment.requests", 0, 0, None, b"{}", ())

    hear(state, [replace(timed([requested()])[0], message=message)])

    shown = state.enrollments.get(ID)
    assert shown is not None
    assert shown.requested_at == LATE


def test_a_confirmed_enrollment_says_when_what_happened() -> None:
    shown = seen(*HAPPY)

    assert shown.status is Status.CONFIRMED
    assert shown.saga_status is SagaStatus.COMPLETED
    assert (shown.opened_at, shown.deadline_at) == (at(1), at(30))
    assert (shown.decided_at, shown.settled_at) == (at(4), at(4))
    assert shown.happenings == tuple(
        Happening(type(event).__name__, at(second)) for second, event in enumerate(HAPPY)
    )


def test_a_bad_request_is_shown_with_what_is_wrong_with_it() -> None:
    shown = seen(*STORIES["bad"])

    assert (shown.status, shown.stage, shown.reasons) == (Status.REJECTED, Stage.REQUEST, BAD)
    assert (shown.term, shown.sections) == (None, ())
    assert shown.settled_at == at(1)


def test_a_refusal_keeps_the_reasons_of_each_who_refused() -> None:
    shown = seen(*STORIES["full"])

    assert (shown.status, shown.stage, shown.reasons) == (Status.REJECTED, Stage.CAPACITY, FULL)
    assert shown.happenings is not None
    with_reasons = {one.event: one.reasons for one in shown.happenings if one.reasons}
    assert with_reasons == {"SeatUnavailable": FULL, "EnrollmentRejected": FULL}


@pytest.mark.parametrize(
    ("story", "told", "status", "settled_at"),
    [
        ("full", 5, SagaStatus.COMPENSATING, None),
        ("full", 6, SagaStatus.COMPENSATED, at(5)),
        ("cancelled while pending", 3, SagaStatus.COMPENSATED, at(2)),
        ("cancelled while pending", 4, SagaStatus.COMPENSATING, None),
        ("cancelled while pending", 6, SagaStatus.COMPENSATING, None),
        ("cancelled while pending", 7, SagaStatus.COMPENSATED, at(6)),
        ("cancelled while confirmed", 6, SagaStatus.COMPENSATING, None),
        ("cancelled while confirmed", 7, SagaStatus.COMPENSATING, None),
        ("cancelled while confirmed", 8, SagaStatus.COMPENSATED, at(7)),
        ("nobody answers", 2, SagaStatus.EXECUTING, None),
        ("nobody answers", 3, SagaStatus.COMPENSATED, at(2)),
    ],
)
def test_a_saga_that_is_over_compensates_until_all_is_given_back(
    story: str, told: int, status: SagaStatus, settled_at: object
) -> None:
    shown = seen(*STORIES[story][:told])

    assert (shown.saga_status, shown.settled_at) == (status, settled_at)


def test_a_cancelled_confirmation_holds_all_even_where_the_taking_was_not_heard_yet() -> None:
    shown = seen(requested(), cancelled("confirmed"), claim_released())

    assert shown.saga_status is SagaStatus.COMPENSATING


def test_a_repeat_of_an_event_changes_nothing() -> None:
    for story in STORIES.values():
        known = seen(*story)
        for event in story:
            assert heard_after(known, arrival_of(event, at(99))) is None


def test_a_request_of_another_student_changes_nothing_of_what_is_known() -> None:
    for story in STORIES.values():
        for told in range(1, len(story) + 1):
            known = seen(*story[:told])
            assert heard_after(known, arrival_of(requested(S2), at(-5))) is None


def test_the_saga_says_whose_an_enrollment_is_where_a_request_said_something_else() -> None:
    shown = seen(requested(S2), opened())

    assert shown.student_id == S1


def test_a_request_that_is_heard_after_its_answers_is_noted_at_its_own_time() -> None:
    state = fresh()

    hear(state, [arrival_of(opened(), at(1)), arrival_of(requested(), at(0))])

    shown = state.enrollments.get(ID)
    assert shown is not None
    assert shown.requested_at == at(0)
    assert shown.happenings == (
        Happening("EnrollmentOpened", at(1)),
        Happening("EnrollmentRequested", at(0)),
    )


def test_a_confirmation_that_is_heard_after_the_cancellation_does_not_undo_it() -> None:
    shown = seen(cancelled("confirmed"), confirmed())

    assert shown.status is Status.CANCELLED
    assert shown.decided_at == at(0)


def test_what_was_pruned_stays_as_it_is_whatever_is_repeated() -> None:
    for story in STORIES.values():
        known = pruned(seen(*story))
        for event in story:
            if known.status is not Status.CONFIRMED:
                assert heard_after(known, arrival_of(event, at(99))) is None


def test_a_cancellation_long_after_the_steps_were_pruned_is_shown_with_what_it_gives_back() -> None:
    known = pruned(seen(*HAPPY))

    over = heard_after(known, arrival_of(cancelled("confirmed"), at(100)))
    assert over is not None
    assert over.saga_status is SagaStatus.COMPENSATING
    settled = heard_after(
        over, arrival_of(seat_released(), at(101)), arrival_of(claim_released(), at(102))
    )

    assert settled is not None
    assert settled.saga_status is SagaStatus.COMPENSATED
    assert settled.settled_at == at(102)
    assert settled.happenings is not None
    assert [one.event for one in settled.happenings] == [
        "EnrollmentCancelled",
        "SeatReleased",
        "StudentClaimReleased",
    ]


def test_a_request_to_cancel_changes_nothing_by_itself() -> None:
    asked = EnrollmentCancellationRequested(enrollment_id=ID, student_id=S1)
    state = fresh()

    hear(state, [arrival_of(asked, at(0))])

    assert list(state.enrollments.all()) == []
    assert heard_after(seen(*HAPPY), arrival_of(asked, at(9))) is None


def test_the_totals_follow_what_is_shown() -> None:
    state = fresh()

    hear(state, timed(STORIES["cancelled while confirmed"]))

    assert {status: n for status, n in state.totals.items() if n} == {Status.CANCELLED: 1}


def test_the_deadlines_rejection_says_so() -> None:
    shown = seen(requested(), opened(), rejected(Stage.DEADLINE, OVERDUE))

    assert (shown.stage, shown.reasons) == (Stage.DEADLINE, OVERDUE)


# Sections.


def section_after(*events: object) -> ViewedSection | None:
    state = fresh()
    hear(state, [arrival_of(event, at(0)) for event in events])  # type: ignore[arg-type]
    return state.sections.get(KEY)


def test_a_section_is_what_its_newest_version_says() -> None:
    expected = ViewedSection(
        TERM, A, CourseId("C"), SectionState.CLOSED, credits=3, capacity=5, version=2
    )

    assert section_after(published(1), published(2, capacity=5)) == expected
    assert section_after(published(2, capacity=5), published(1)) == expected
    assert section_after(published(2, capacity=5), published(2, capacity=7)) == expected


def test_seats_are_what_the_latest_entry_of_the_ledger_says() -> None:
    ledger = [
        seat_reserved(sequence=1, reserved=1),
        seat_reserved(sequence=3, reserved=1),
        seat_released(sequence=2, reserved=0),
    ]

    shown = section_after(published(), *ledger, seat_unavailable(sequence=3))

    assert shown is not None
    assert (shown.reserved, shown.seat_sequence, shown.free) == (1, 3, 8)


def test_seats_that_come_before_the_catalog_are_kept_for_it() -> None:
    early = section_after(seat_reserved(reserved=4))
    complete = section_after(seat_reserved(reserved=4), published())

    assert early is not None
    assert early.version is None
    assert complete is not None
    assert (complete.reserved, complete.capacity, complete.version) == (4, 9, 1)


def test_more_reserved_than_the_capacity_of_now_leaves_nothing_free() -> None:
    shown = section_after(published(capacity=1), seat_reserved(reserved=4))

    assert shown is not None
    assert shown.free == 0


def test_a_section_that_left_the_catalog_is_cancelled_and_a_newer_version_revives_it() -> None:
    gone = section_after(published(1), SectionWithdrawn(key=KEY))
    still = section_after(published(1), SectionWithdrawn(key=KEY), published(1))
    back = section_after(published(1), SectionWithdrawn(key=KEY), published(3))

    assert gone is not None
    assert gone.state is SectionState.CANCELLED
    assert still == gone
    assert back is not None
    assert back.state is SectionState.OPEN


def test_a_section_that_was_never_published_cannot_leave() -> None:
    assert section_after(SectionWithdrawn(key=KEY)) is None
    assert section_after(published(term=Term("U")), SectionWithdrawn(key=KEY)) is None


def test_a_validation_counts_no_seats() -> None:
    assert section_after(validated()) is None
