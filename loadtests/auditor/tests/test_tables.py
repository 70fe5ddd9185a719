from dataclasses import replace
from datetime import timedelta

from loadtests.auditor.auditing import make_report
from loadtests.auditor.tables import Conflict, DeadLetter
from loadtests.auditor.tests.day import (
    CANCELLED,
    DEADLINE,
    EARLY,
    FULL,
    LATE,
    OTHER,
    sound_day,
)


def test_an_enrollment_row_that_contradicts_its_events_is_found() -> None:
    day = sound_day()
    day.enrollments[OTHER] = day.enrollments[OTHER]._replace(state="rejected")
    assert (
        f"invariant 8: enrollment {OTHER}: rejected in the database of enrollment, confirmed by "
        "its events" in day.violations()
    )


def test_a_claim_row_that_contradicts_its_events_is_found() -> None:
    day = sound_day()
    day.claims[OTHER] = day.claims[OTHER]._replace(state="refused")
    assert (
        f"invariant 8: enrollment {OTHER}: refused in the database of student, claimed by its "
        "events" in day.violations()
    )


def test_a_reservation_row_that_contradicts_its_events_is_found() -> None:
    day = sound_day()
    day.reservations[OTHER] = day.reservations[OTHER]._replace(state="released")
    assert (
        f"invariant 8: enrollment {OTHER}: released in the database of capacity, reserved by its "
        "events" in day.violations()
    )


def test_a_reservation_that_denies_its_answer_is_found() -> None:
    day = sound_day()
    day.reservations[OTHER] = day.reservations[OTHER]._replace(is_answered=False)
    assert day.violations() == [
        f"invariant 8: enrollment {OTHER}: capacity's row says answered: False, its events: True"
    ]


def test_a_row_with_other_sections_than_its_event_is_found() -> None:
    day = sound_day()
    day.reservations[OTHER] = day.reservations[OTHER]._replace(sections=("2",))
    assert (
        f"invariant 2: enrollment {OTHER}: bob T/2 in the database of capacity, bob T/1 by "
        "SeatReserved" in day.violations()
    )


def test_credits_of_a_claim_that_was_never_made_are_found() -> None:
    day = sound_day()
    day.claims[EARLY] = day.claims[EARLY]._replace(credits=3)
    assert day.violations() == [
        f"invariant 4: enrollment {EARLY}: 3 credits in the database of student, 0 by its events"
    ]


def test_another_stage_than_the_event_tells_is_found() -> None:
    day = sound_day()
    day.enrollments[FULL] = day.enrollments[FULL]._replace(stage="eligibility")
    assert day.violations() == [
        f"invariant 8: enrollment {FULL}: stage eligibility in the database, capacity by its events"
    ]


def test_a_request_without_a_row_is_found() -> None:
    day = sound_day()
    del day.enrollments[OTHER]
    assert (
        f"invariant 3: enrollment {OTHER}: 1 requests, and enrollment's row is missing"
        in day.violations()
    )


def test_a_cancel_without_a_row_is_found() -> None:
    day = sound_day()
    day.ask_to_cancel("00000000-0000-0000-0000-000000000014", "ann")
    assert day.violations() == [
        (
            "invariant 3: enrollment 00000000-0000-0000-0000-000000000014: 1 cancels, and "
            "enrollment's row is missing"
        )
    ]


def test_a_row_that_nobody_asked_for_is_found() -> None:
    day = sound_day()
    row = day.enrollments[OTHER]._replace(enrollment_id="x", state="unopened")
    day.enrollments["x"] = row._replace(cancelled_by=("bob",))
    assert day.violations() == [
        ("invariant 3: enrollment x: cancelled by 1 students in the database, 0 in the topic"),
        "invariant 3: enrollment x: unopened for student bob, who sent 0 messages about it",
    ]


def test_an_enrollment_pending_at_rest_is_found() -> None:
    day = sound_day()
    day.enrollments[OTHER] = day.enrollments[OTHER]._replace(state="pending")
    day.drop(OTHER, "EnrollmentConfirmed")
    assert (
        f"invariant 7: enrollment {OTHER}: pending at rest; its deadline is {DEADLINE}"
        in day.violations()
    )


def test_a_confirmed_enrollment_without_seats_or_claim_is_found() -> None:
    day = sound_day()
    del day.reservations[OTHER]
    del day.claims[OTHER]
    found = day.violations()
    text = f"enrollment {OTHER}: confirmed, and its"
    assert f"invariant 2: {text} reservation is missing" in found
    assert f"invariant 4: {text} claim is missing" in found


def test_an_ended_enrollment_that_holds_seats_or_a_claim_is_found() -> None:
    day = sound_day()
    day.reservations[CANCELLED] = day.reservations[CANCELLED]._replace(state="reserved")
    day.claims[CANCELLED] = day.claims[CANCELLED]._replace(state="claimed")
    found = day.violations()
    text = f"enrollment {CANCELLED}: cancelled, and its"
    assert f"invariant 2: {text} reservation is reserved" in found
    assert f"invariant 4: {text} claim is claimed" in found


def test_an_ended_enrollment_that_left_no_mark_is_found() -> None:
    day = sound_day()
    day.reservations[FULL] = day.reservations[FULL]._replace(state="refused")
    assert day.violations() == [
        (
            f"invariant 6: enrollment {FULL}: rejected, and capacity's row is refused instead of "
            "released"
        )
    ]


def test_a_deadline_before_its_time_is_found() -> None:
    day = sound_day()
    early = DEADLINE - timedelta(seconds=1)
    day.enrollments[LATE] = day.enrollments[LATE]._replace(decided_at=early)
    assert day.violations() == [
        f"invariant 7: enrollment {LATE}: rejected by its deadline {DEADLINE} at {early}"
    ]


def test_another_body_under_a_known_id_must_be_on_record() -> None:
    day = sound_day()
    body = {**day.find(OTHER, "EnrollmentRequested").body, "sections": ["2"]}
    day.repeat(OTHER, "EnrollmentRequested", body=body)
    assert day.violations() == [
        (
            f"invariant 5: enrollment {OTHER}: 2 different requests of its student, 0 recorded as "
            "conflicting"
        )
    ]
    day.conflicts.append(Conflict(OTHER, "bob", "conflicting_duplicate"))
    assert day.violations() == []


def test_another_student_under_a_known_id_must_be_on_record() -> None:
    day = sound_day()
    body = {**day.find(OTHER, "EnrollmentRequested").body, "student_id": "eve"}
    day.repeat(OTHER, "EnrollmentRequested", body=body)
    assert day.violations() == [
        f"invariant 5: enrollment {OTHER}: requested by 1 other students, 0 recorded as foreign"
    ]
    day.conflicts.append(Conflict(OTHER, "eve", "foreign_request"))
    assert day.violations() == []


def test_a_foreign_cancel_that_is_not_on_record_is_found() -> None:
    day = sound_day()
    day.ask_to_cancel(OTHER, "eve")
    day.messages[-1].partition = 0  # where the request is
    text = "cancelled by 1 other students, by 1 surely after its request, 0 recorded as foreign"
    assert day.violations() == [f"invariant 5: enrollment {OTHER}: {text}"]


def test_a_foreign_cancel_on_record_that_nobody_sent_is_found() -> None:
    day = sound_day()
    day.conflicts.append(Conflict(OTHER, "eve", "foreign_cancel"))
    assert day.violations() == [
        (
            f"invariant 5: enrollment {OTHER}: cancelled by 0 other students, by 0 surely after "
            "its request, 1 recorded as foreign"
        )
    ]


def test_an_unreadable_message_that_vanished_is_found() -> None:
    day = sound_day()
    day.trail.clear()
    assert day.violations() == [
        (
            "invariant 3: message enrollment.requests/3/7: unreadable (it names no enrollment), "
            "and neither parked nor ended by an operator"
        )
    ]


def test_a_readable_message_among_the_unreadable_is_found() -> None:
    day = sound_day()
    place = "enrollment.requests/0/0"
    day.letters.append(
        DeadLetter("enrollment", "enrollment.requests", place, None, "not_json", False)
    )
    assert day.violations() == [
        f"invariant 3: message {place}: parked by enrollment as not_json, and readable"
    ]


def test_a_changed_audit_record_is_found() -> None:
    day = sound_day()
    day.trail[1] = day.trail[1]._replace(operator="nobody")
    found = day.violations()
    assert len(found) == 1
    assert found[0].startswith("invariant 8: audit record 2 of enrollment: its hash is ")


def test_a_changed_audit_record_of_the_ingress_is_found() -> None:
    day = sound_day()
    record = day.trail[0]._replace(operator="nobody")
    tables = replace(day.tables(), trails={"ingress": (record,), **day.tables().trails})
    found = [str(one) for one in make_report(day.history(), tables).violations]
    assert len(found) == 1
    assert found[0].startswith("invariant 8: audit record 1 of ingress: its hash is ")


def test_what_was_given_up_at_the_ingress_excuses_nothing_in_the_services() -> None:
    day = sound_day()
    day.record_action("dead_letter.discard", "enrollment.events/0/0", f"EnrollmentOpened {OTHER}")
    tables = day.tables()
    at_the_ingress = replace(tables, trails={"ingress": tables.trails["enrollment"]})
    assert (OTHER, "EnrollmentOpened") in tables.excuses.discarded
    assert at_the_ingress.excuses.discarded == frozenset()


def test_a_missing_audit_record_is_found() -> None:
    day = sound_day()
    day.record_action("settings.show", "enrollment", "")
    del day.trail[1]
    assert day.violations() == [
        "invariant 8: audit record 3 of enrollment: its number is 3, by counting it is 2"
    ]


def test_the_report_counts_what_it_saw() -> None:
    day = sound_day()
    report = make_report(day.history(), day.tables())
    assert report.exit_code == 0
    assert report.as_json() == {
        "violations": [],
        "still_open": {},
        "still_moving": (),
        "unchecked": (),
        "enrollments_by_state": {"confirmed": 2, "rejected": 4, "cancelled": 2, "pending": 1},
        "sections": 3,
        "seats_reserved": 3,
        "events_by_topic": {
            "section.catalog": 3,
            "student.catalog": 4,
            "enrollment.requests": 12,
            "enrollment.events": 16,
            "student.events": 9,
            "capacity.events": 7,
        },
        "excused_enrollments": 1,
    }


def test_the_report_names_violations_by_number_and_name() -> None:
    day = sound_day()
    day.find(OTHER, "SeatReserved").traceparents = 0
    report = make_report(day.history())
    assert report.exit_code == 1
    assert {
        "invariant": 6,
        "name": "every event is delivered, in order",
        "subject": f"enrollment {OTHER}",
        "text": "SeatReserved has 0 traceparent headers instead of 1",
    } in report.as_json()["violations"]
