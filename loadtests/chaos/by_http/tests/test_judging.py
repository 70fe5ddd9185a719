"""The judge of the log of HTTP clients, on histories made by hand."""

import pytest

from loadtests.auditor.requests import Kind
from loadtests.chaos.by_http.asks import Act
from loadtests.chaos.by_http.judging import apart, judge_http_log
from loadtests.chaos.by_http.log import Answer
from loadtests.chaos.by_http.tests.making import (
    CANCELLED,
    CONFIRMED,
    LOST,
    OPENED,
    REJECTED,
    HttpDay,
    accepted,
    ask_of,
    refused,
)


def judge(day: HttpDay) -> list[str]:
    return judge_http_log(day.log, day.history)


def sound_day() -> HttpDay:
    """One request with its repeats, accepted and confirmed."""
    day = HttpDay()
    day.try_(ask_of(), LOST, refused(503), accepted("e1"))
    day.try_(ask_of(sections="BA"), accepted("e1", is_replay=True))
    day.try_(ask_of(0, Act.LOOK, key=None), refused(503), Answer(200, "200"))
    day.keep("e1")
    day.say("e1", OPENED, CONFIRMED)
    return day


def test_a_day_whose_promises_are_kept_is_fine() -> None:
    assert judge(sound_day()) == []


def test_an_accepted_enrollment_without_an_outcome_is_found() -> None:
    day = sound_day()
    day.try_(ask_of(1, key="k1", sections="C"), accepted("e2"))
    day.keep("e2")
    day.say("e2", OPENED, sections="C")

    assert judge(day) == ["enrollment e2: no outcome, and one outcome is due"]


def test_an_accepted_enrollment_that_kafka_never_got_is_found() -> None:
    day = sound_day()
    day.try_(ask_of(1, key="k1", sections="C"), accepted("e2"))
    day.say("e2", REJECTED, sections="C")

    assert judge(day) == ["enrollment e2: enroll was answered 202, and Kafka never got it"]


def test_two_outcomes_of_one_request_are_found() -> None:
    day = sound_day()
    day.say("e1", REJECTED)

    assert judge(day) == [f"enrollment e1: {CONFIRMED}, {REJECTED}, and one outcome is due"]


@pytest.mark.parametrize(
    "other", [accepted("e2"), accepted("e1", body=b"{}"), accepted("e1", location="/elsewhere")]
)
def test_two_answers_to_one_key_are_found(other: Answer) -> None:
    day = sound_day()
    day.try_(ask_of(), other)

    assert [text for text in judge(day) if "answered in 2 ways" in text]


def test_two_enrollments_of_one_key_are_found_though_one_answer_was_lost() -> None:
    day = sound_day()
    day.say("e2", OPENED, REJECTED)

    assert judge(day) == ["request 0 has 2 enrollments: e1, e2"]


def test_without_a_key_the_same_may_be_asked_anew_once_it_came_to_nothing() -> None:
    day = HttpDay()
    for name, *types in (("e1", REJECTED), ("e2", CONFIRMED, CANCELLED), ("e3", CONFIRMED)):
        day.try_(ask_of(key=None), accepted(name))
        day.keep(name)
        day.say(name, *types)

    assert judge(day) == []

    day.try_(ask_of(key=None), accepted("e4"))
    day.keep("e4")
    day.say("e4", CONFIRMED)

    assert judge(day) == ["request 0 has 2 enrollments: e3, e4"]


def test_an_enrollment_that_nobody_asked_for_is_found() -> None:
    day = sound_day()
    day.say("e2", OPENED, REJECTED, sections="Z")

    assert judge(day) == [f"enrollment e2: {REJECTED}, and nobody asked for it"]


def test_an_enrollment_that_ends_confirmed_after_an_accepted_cancel_is_found() -> None:
    day = sound_day()
    day.try_(ask_of(0, Act.CANCEL, key="c"), accepted("e1"))
    day.keep("e1", Kind.CANCEL)

    assert judge(day) == ["enrollment e1: its cancel was accepted, and it ends confirmed"]


def test_an_accepted_cancel_that_kafka_never_got_is_found() -> None:
    day = sound_day()
    day.try_(ask_of(0, Act.CANCEL, key="c"), accepted("e1"))
    day.say("e1", CANCELLED)

    assert judge(day) == ["enrollment e1: cancel was answered 202, and Kafka never got it"]


def test_who_is_told_to_wait_without_being_told_how_long_is_found() -> None:
    day = sound_day()
    day.try_(ask_of(), refused(429, None), accepted("e1"))

    assert judge(day) == ["ask 3 (enroll): 429 without Retry-After"]


@pytest.mark.parametrize("status", [200, 400, 404, 409, 422, 500, 502])
def test_an_answer_that_is_none_of_the_contracts_is_found(status: int) -> None:
    day = sound_day()
    day.try_(ask_of(), refused(status))

    assert judge(day) == [f"ask 3 (enroll): answered {status}"]


def test_a_key_that_came_with_two_bodies_may_be_refused() -> None:
    day = sound_day()
    day.try_(ask_of(sections="C"), refused(422))

    assert judge(day) == []


def test_an_enrollment_that_was_accepted_and_is_not_found_is_found() -> None:
    day = sound_day()
    day.try_(ask_of(0, Act.LOOK, key=None), refused(404))

    assert judge(day) == ["ask 3 (look): answered 404"]


def test_who_was_never_answered_is_found() -> None:
    day = sound_day()
    day.try_(ask_of(), LOST, refused(503))
    day.log.asks += 1

    assert judge(day) == ["ask 3 was never answered", "ask 4 was never answered"]


def test_a_history_is_divided_by_students() -> None:
    day = sound_day()
    day.keep("e2", student="P1")
    day.say("e2", REJECTED, student="P1")

    theirs, others = apart(day.history, {"H1"})

    for part, name in ((theirs, "e1"), (others, "e2")):
        assert {one.enrollment_id for one in part.requests} == {name}
        assert {one.enrollment_id for one in part.events} == {name}
