import json
from datetime import UTC, datetime

import pytest

from loadtests.day.copies import copy_of
from loadtests.day.kafka import DayError
from loadtests.day.requests import enrollment_id, event_id, prepare
from loadtests.day.tests.making import dataset, request, section, student
from shared.codec import decode, raw_headers
from shared.events import EnrollmentRequested
from shared.message import Arrival, Message

NOW = datetime(2031, 1, 2, tzinfo=UTC)
DAY = dataset(
    request(1, "S1", "1.1"),
    request(3, "S2", "1.1"),
    sections=(section("1.1"),),
    students=(student("S1"), student("S2")),
)


def test_ids_follow_from_set_line_copy_and_run() -> None:
    names = [
        ("set", 1, 1, "r"),
        ("tes", 1, 1, "r"),
        ("set", 2, 1, "r"),
        ("set", 1, 2, "r"),
        ("set", 1, 1, "s"),
    ]

    ids = [make(*name) for name in names for make in (enrollment_id, event_id)]

    assert len(set(ids)) == len(ids)
    assert ids[0] == enrollment_id("set", 1, 1, "r")
    assert {one.version for one in ids} == {5}


def test_a_run_is_prepared_alike_each_time() -> None:
    assert prepare([DAY], "r", NOW) == prepare([DAY], "r", NOW)
    assert prepare([DAY], "r", NOW).messages != prepare([DAY], "s", NOW).messages


def test_a_message_reads_as_the_request_of_its_line() -> None:
    batch = prepare([DAY], "r", NOW)

    message = batch.messages[1]
    headers = raw_headers(batch.headers_of(message))
    read = decode(
        Message("enrollment.requests", 0, 0, message.key, message.body, headers),
        {EnrollmentRequested},
    )

    assert isinstance(read, Arrival)
    wanted = enrollment_id("set", 3, 1, "r")
    assert read.event == EnrollmentRequested.model_validate(
        {"enrollment_id": wanted, "student_id": "S2", "term": "fall", "sections": ("1.1",)}
    )
    assert read.event_id == event_id("set", 3, 1, "r")
    assert read.traceparent is None  # the enrollment service begins it, and samples
    assert message.key == b"S2"
    assert message.enrollment_id == str(wanted).encode()
    assert dict(headers)["ce_subject"] == str(wanted).encode()


def test_the_first_copy_is_the_set_itself() -> None:
    assert copy_of(DAY, 1) == DAY


def test_a_later_copy_has_sections_and_students_of_its_own() -> None:
    copy = copy_of(DAY, 3)

    assert [section.section_id for section in copy.sections] == ["3-1.1"]
    assert [student.student_id for student in copy.students] == ["3-S1", "3-S2"]
    assert copy.requests == (request(1, "3-S1", "3-1.1"), request(3, "3-S2", "3-1.1"))
    assert (copy.name, copy.term) == ("set", "fall")


def test_copies_take_turns() -> None:
    batch = prepare([DAY, copy_of(DAY, 2)], "r", NOW)

    asked = [json.loads(message.body)["student_id"] for message in batch.messages]
    assert asked == ["S1", "2-S1", "S2", "2-S2"]
    assert len({message.enrollment_id for message in batch.messages}) == 4


def test_an_id_that_a_copy_would_make_too_long_is_refused() -> None:
    long = dataset(students=(student("S" * 63),))

    with pytest.raises(DayError, match="longer than 64"):
        copy_of(long, 2)
