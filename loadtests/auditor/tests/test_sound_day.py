from loadtests.auditor.history import read_history
from loadtests.auditor.judging import judge
from loadtests.auditor.records import from_lines, to_line
from loadtests.auditor.tests.day import CONFIRMED, sound_day


def test_a_sound_day_has_no_violation() -> None:
    day = sound_day()
    assert day.violations() == []


def test_a_recorded_day_is_judged_without_tables() -> None:
    day = sound_day()
    day.messages = [m for m in day.messages if m.body.get("enrollment_id", "")[-1:] != "9"]
    assert day.violations_of_topics() == []


def test_an_event_that_is_delivered_twice_is_no_violation() -> None:
    day = sound_day()
    for message in list(day.messages):
        if message.topic.endswith(".events"):
            day.messages.append(message)
    assert day.violations() == []


def test_a_topic_that_forgot_its_beginning_contradicts_no_table() -> None:
    day = sound_day()
    records = [r for r in day.records() if r.topic != "student.events" or r.offset > 0]
    history = read_history(records)
    assert judge(history, day.tables()) == ()
    assert "student.events/0: 5 records were written, 4 are still there" in history.gaps


def test_a_repeated_request_of_the_same_body_is_no_violation() -> None:
    day = sound_day()
    day.repeat(CONFIRMED, "EnrollmentRequested", id="00000000-0000-0000-0000-0000000000aa")
    assert day.violations() == []


def test_a_recorded_day_survives_its_lines() -> None:
    day = sound_day()
    day.messages[-1].raw = b"\xff\x00 no text"
    records = day.records()
    assert list(from_lines(map(to_line, records))) == records
