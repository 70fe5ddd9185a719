import pytest

from loadtests.auditor.tests.day import CANCELLED, CONFIRMED, FULL, OTHER, sound_day

ANOTHER_ID = "00000000-0000-0000-0000-0000000000aa"


@pytest.mark.parametrize(
    ("enrollment_id", "event_type"),
    [
        (CONFIRMED, "EnrollmentOpened"),
        (CONFIRMED, "EnrollmentConfirmed"),
        (FULL, "EnrollmentRejected"),
        (CANCELLED, "EnrollmentCancelled"),
        (CONFIRMED, "StudentValidated"),
        (CONFIRMED, "SeatReserved"),
        (FULL, "SeatUnavailable"),
        (CANCELLED, "SeatReleased"),
        (CANCELLED, "StudentClaimReleased"),
    ],
)
def test_a_second_event_of_one_change_is_found(enrollment_id: str, event_type: str) -> None:
    day = sound_day()
    day.repeat(enrollment_id, event_type, id=ANOTHER_ID)
    assert (
        f"invariant 8: enrollment {enrollment_id}: 2 {event_type} of different ids, at most 1 is "
        "right" in day.violations_of_topics()
    )


def test_one_id_with_two_contents_is_found() -> None:
    day = sound_day()
    body = {**day.find(OTHER, "EnrollmentConfirmed").body, "sections": ["2"]}
    day.repeat(OTHER, "EnrollmentConfirmed", body=body)
    assert [text for text in day.violations() if "has the id and not the content" in text] == [
        (
            f"invariant 6: enrollment {OTHER}: EnrollmentConfirmed at enrollment.events/0/7 has "
            "the id and not the content of EnrollmentConfirmed at enrollment.events/0/1"
        )
    ]


def test_events_out_of_order_are_found() -> None:
    day = sound_day()
    opened = day.find(OTHER, "EnrollmentOpened")
    day.messages.remove(opened)
    day.messages.append(opened)
    assert day.violations() == [
        (
            f"invariant 6: enrollment {OTHER}: EnrollmentOpened at offset 6 after "
            "EnrollmentConfirmed at 0 of enrollment.events"
        )
    ]


def test_an_event_under_another_key_is_found() -> None:
    day = sound_day()
    message = day.find(OTHER, "EnrollmentConfirmed")
    message.key, message.partition = "eve", 0
    assert day.violations() == [
        f"invariant 6: enrollment {OTHER}: EnrollmentConfirmed is keyed by eve, its student is bob"
    ]


def test_events_of_an_enrollment_in_two_partitions_are_found() -> None:
    day = sound_day()
    day.find(OTHER, "EnrollmentConfirmed").partition = 3
    assert (
        f"invariant 6: student bob: EnrollmentConfirmed of enrollment {OTHER} is in partition 3 of "
        "enrollment.events, other events are in 0" in day.violations()
    )


@pytest.mark.parametrize("count", [0, 2])
def test_an_event_without_exactly_one_traceparent_is_found(count: int) -> None:
    day = sound_day()
    day.find(OTHER, "SeatReserved").traceparents = count
    assert day.violations() == [
        (
            f"invariant 6: enrollment {OTHER}: SeatReserved has {count} traceparent headers "
            "instead of 1"
        )
    ]


def test_an_unreadable_event_in_a_topic_of_the_saga_is_found() -> None:
    day = sound_day()
    day.find(OTHER, "SeatReserved").raw = b"{"
    assert (
        "invariant 6: capacity.events/0/0: unreadable: its body is not JSON"
        in day.violations_of_topics()
    )


def test_an_event_that_lacks_a_field_is_found() -> None:
    day = sound_day()
    del day.find(OTHER, "SeatReserved").body["seats"][0]["capacity"]
    assert (
        "invariant 6: capacity.events/0/0: unreadable: its SeatReserved lacks something: "
        "KeyError('capacity')" in day.violations_of_topics()
    )


def test_both_answers_of_one_service_are_found() -> None:
    day = sound_day()
    reasons = [{"code": "section_closed", "section_id": "1"}]
    day.tell(OTHER, "SeatUnavailable", seats=[], reasons=reasons)
    assert (
        f"invariant 8: enrollment {OTHER}: both SeatReserved and SeatUnavailable"
        in day.violations_of_topics()
    )


def test_an_answer_without_its_question_is_found() -> None:
    day = sound_day()
    day.drop(FULL, "StudentValidated")
    assert (
        f"invariant 8: enrollment {FULL}: SeatUnavailable without StudentValidated"
        in day.violations_of_topics()
    )


def test_a_question_without_its_answer_is_found() -> None:
    day = sound_day()
    day.drop(FULL, "SeatUnavailable")
    assert (
        f"invariant 6: enrollment {FULL}: StudentValidated without SeatReserved or SeatUnavailable"
        in day.violations_of_topics()
    )


def test_an_answer_that_an_operator_gave_up_is_not_missed() -> None:
    day = sound_day()
    day.drop(FULL, "SeatUnavailable")
    day.record_action("dead_letter.discard", "student.events/0/0", f"StudentValidated {FULL} 0")
    assert not any("StudentValidated without" in text for text in day.violations())
