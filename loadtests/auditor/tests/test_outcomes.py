from loadtests.auditor.tests.day import (
    CANCELLED,
    CONFIRMED,
    EARLY,
    FULL,
    INELIGIBLE,
    LATE,
    MALFORMED,
    OTHER,
    PARKED,
    sound_day,
)

ANOTHER_ID = "00000000-0000-0000-0000-0000000000aa"


def test_an_outcome_that_nobody_asked_for_is_found() -> None:
    day = sound_day()
    day.drop(CONFIRMED, "EnrollmentRequested")
    assert (
        f"invariant 3: enrollment {CONFIRMED}: EnrollmentOpened is of student ann; nobody asked "
        "for this id" in day.violations_of_topics()
    )


def test_an_enrollment_of_a_student_who_did_not_ask_is_found() -> None:
    day = sound_day()
    day.find(CONFIRMED, "EnrollmentRequested").body["student_id"] = "eve"
    assert (
        f"invariant 3: enrollment {CONFIRMED}: EnrollmentOpened is of student ann; eve asked for "
        "this id" in day.violations_of_topics()
    )


def test_an_enrollment_in_other_sections_than_asked_for_is_found() -> None:
    day = sound_day()
    day.find(CONFIRMED, "EnrollmentRequested").body["sections"] = ["1"]
    assert (
        f"invariant 3: enrollment {CONFIRMED}: EnrollmentOpened for T/1,2 answers no valid request"
        in day.violations_of_topics()
    )


def test_a_valid_request_that_was_refused_as_malformed_is_found() -> None:
    day = sound_day()
    day.find(MALFORMED, "EnrollmentRequested").body["sections"] = ["1"]
    assert day.violations_of_topics()[0] == (
        f"invariant 3: enrollment {MALFORMED}: EnrollmentRejected for T/ answers no malformed "
        "request"
    )


def test_a_request_without_any_answer_is_found() -> None:
    day = sound_day()
    day.request(20, "ann", "2")
    assert (
        "invariant 3: enrollment 00000000-0000-0000-0000-000000000014: 1 requests, but 0 "
        "outcomes; 1 is due" in day.violations_of_topics()
    )


def test_an_opened_enrollment_without_an_outcome_is_found() -> None:
    day = sound_day()
    day.drop(CONFIRMED, "EnrollmentConfirmed")
    assert (
        f"invariant 3: enrollment {CONFIRMED}: EnrollmentOpened, but 0 outcomes; 1 is due"
        in day.violations_of_topics()
    )


def test_two_outcomes_are_found() -> None:
    day = sound_day()
    day.tell(CONFIRMED, "EnrollmentRejected", stage="deadline", reasons=[{"code": "deadline"}])
    assert (
        f"invariant 3: enrollment {CONFIRMED}: both EnrollmentConfirmed and EnrollmentRejected"
        in day.violations()
    )


def test_a_rejection_beside_a_cancellation_is_found() -> None:
    day = sound_day()
    day.tell(CANCELLED, "EnrollmentRejected", stage="deadline", reasons=[{"code": "deadline"}])
    assert (
        f"invariant 3: enrollment {CANCELLED}: both EnrollmentRejected and EnrollmentCancelled"
        in day.violations()
    )


def test_a_cancel_that_ends_confirmed_is_found() -> None:
    day = sound_day()
    day.ask_to_cancel(OTHER, "bob")
    assert day.violations() == [
        f"invariant 3: enrollment {OTHER}: 1 cancels of its student, and it ends confirmed"
    ]


def test_a_cancel_by_a_stranger_changes_nothing() -> None:
    day = sound_day()
    day.ask_to_cancel(OTHER, "ann")
    assert day.violations() == []


def test_a_cancellation_that_nobody_asked_for_is_found() -> None:
    day = sound_day()
    day.drop(CANCELLED, "EnrollmentCancellationRequested")
    assert (
        f"invariant 3: enrollment {CANCELLED}: EnrollmentCancelled, but 0 cancels of student dot"
        in day.violations_of_topics()
    )


def test_a_cancellation_that_tells_what_was_before_wrongly_is_found() -> None:
    day = sound_day()
    day.find(EARLY, "EnrollmentCancelled").body["was"] = "confirmed"
    assert day.violations_of_topics()[0] == (
        f"invariant 3: enrollment {EARLY}: EnrollmentCancelled says it was confirmed; by its "
        "events it was pending"
    )


def test_a_rejection_without_the_refusal_that_it_passes_on_is_found() -> None:
    day = sound_day()
    day.drop(INELIGIBLE, "StudentRejected")
    assert (
        f"invariant 3: enrollment {INELIGIBLE}: rejected at stage eligibility without "
        "StudentRejected" in day.violations_of_topics()
    )


def test_a_rejection_for_other_reasons_than_the_refusal_is_found() -> None:
    day = sound_day()
    day.find(FULL, "EnrollmentRejected").body["reasons"] = [{"code": "section_closed"}]
    assert (
        f"invariant 3: enrollment {FULL}: other reasons: section_closed were told, section_full "
        "by SeatUnavailable" in day.violations_of_topics()
    )


def test_a_rejection_without_reasons_is_found() -> None:
    day = sound_day()
    day.find(LATE, "EnrollmentRejected").body["reasons"] = []
    assert (
        f"invariant 3: enrollment {LATE}: rejected at stage deadline for 0 reasons"
        in day.violations_of_topics()
    )


def test_a_rejection_for_a_reason_of_another_stage_is_found() -> None:
    day = sound_day()
    day.find(LATE, "EnrollmentRejected").body["reasons"] = [{"code": "section_full"}]
    assert (
        f"invariant 3: enrollment {LATE}: rejected at stage deadline for section_full"
        in day.violations_of_topics()
    )


def test_a_rejection_at_a_stage_that_does_not_exist_is_found() -> None:
    day = sound_day()
    day.find(LATE, "EnrollmentRejected").body["stage"] = "weather"
    assert (
        f"invariant 3: enrollment {LATE}: rejected at an unknown stage: weather"
        in day.violations_of_topics()
    )


def test_a_confirmation_without_seats_is_found() -> None:
    day = sound_day()
    day.drop(OTHER, "SeatReserved")
    assert (
        f"invariant 2: enrollment {OTHER}: EnrollmentConfirmed without SeatReserved"
        in day.violations_of_topics()
    )


def test_a_confirmation_without_a_claim_is_found() -> None:
    day = sound_day()
    day.drop(OTHER, "StudentValidated")
    assert (
        f"invariant 4: enrollment {OTHER}: EnrollmentConfirmed without StudentValidated"
        in day.violations_of_topics()
    )


def test_a_refusal_as_released_of_an_enrollment_that_goes_on_is_found() -> None:
    day = sound_day()
    day.drop(FULL, "EnrollmentRejected")
    day.find(FULL, "SeatUnavailable").body["reasons"] = [{"code": "already_released"}]
    assert (
        f"invariant 3: enrollment {FULL}: refused as already released without EnrollmentRejected "
        "or EnrollmentCancelled" in day.violations_of_topics()
    )


def test_an_event_of_another_student_is_found() -> None:
    day = sound_day()
    day.find(OTHER, "SeatReserved").body["student_id"] = "eve"
    assert (
        f"invariant 3: enrollment {OTHER}: EnrollmentOpened is of student bob, SeatReserved of eve"
        in day.violations_of_topics()
    )


def test_an_event_with_other_sections_is_found() -> None:
    day = sound_day()
    day.find(OTHER, "StudentValidated").body["sections"] = ["1", "2"]
    assert (
        f"invariant 2: enrollment {OTHER}: EnrollmentOpened names T/1, StudentValidated T/1,2"
        in day.violations_of_topics()
    )


def test_a_cancel_that_an_operator_gave_up_binds_nobody() -> None:
    day = sound_day()
    day.ask_to_cancel(OTHER, "bob")
    day.record_action(
        "dead_letter.discard",
        "enrollment.requests/0/9",
        f"EnrollmentCancellationRequested {OTHER} outcome stands, 0 wait behind it",
    )
    assert day.violations() == []


def test_a_valid_request_that_an_operator_gave_up_may_be_rejected_as_such() -> None:
    day = sound_day()
    day.find(MALFORMED, "EnrollmentRequested").body["sections"] = ["1"]
    day.find(MALFORMED, "EnrollmentRejected").body["sections"] = ["1"]
    day.enrollments[MALFORMED] = day.enrollments[MALFORMED]._replace(sections=("1",))
    day.claims[MALFORMED] = day.claims[MALFORMED]._replace(sections=("1",))
    day.reservations[MALFORMED] = day.reservations[MALFORMED]._replace(sections=("1",))
    assert len(day.violations()) == 1
    day.record_action(
        "dead_letter.discard",
        "enrollment.requests/0/9",
        f"EnrollmentRequested {MALFORMED} outcome rejected, 0 wait behind it",
    )
    assert day.violations() == []


def test_a_parked_enrollment_may_stay_pending() -> None:
    day = sound_day()
    day.letters.clear()
    assert (
        f"invariant 3: enrollment {PARKED}: EnrollmentOpened, but 0 outcomes; 1 is due"
        in day.violations()
    )
