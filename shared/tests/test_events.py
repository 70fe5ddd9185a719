"""The contract's limits, field by field."""

from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from shared.events import (
    CANCEL_REASON_LENGTH_MAX,
    INTEGER_MAX,
    SECTIONS_MAX,
    VERSION_MAX,
    EnrollmentCancellationRequested,
    EnrollmentRequested,
    Event,
    Reason,
    ReasonCode,
    SectionPublished,
    SectionState,
    StudentPublished,
)
from shared.identifiers import SectionKey

ENROLLMENT = "2f1c9b7e-6d1f-4c51-8d0e-0a1b2c3d4e5f"
REQUEST = {"enrollment_id": ENROLLMENT, "student_id": "S1", "term": "T1", "sections": ["A", "B"]}
CANCEL = {"enrollment_id": ENROLLMENT, "student_id": "S1"}
MEETING = {"days": "1010000", "weeks": "1", "start_minute": 480, "end_minute": 540}
SECTION = {
    "version": 1,
    "term": "T1",
    "section_id": "A",
    "course_id": "C1",
    "capacity": 30,
    "credits": 3,
}
STUDENT = {"version": 1, "student_id": "S1", "max_credits": 20}
WINDOW = {"term": "T1", "opens_at": "2026-01-10T08:00:00Z", "closes_at": "2026-01-11T08:00:00Z"}

Case = tuple[type[Event], dict[str, Any]]
BASES: list[Case] = [
    (EnrollmentRequested, REQUEST),
    (EnrollmentCancellationRequested, CANCEL),
    (SectionPublished, SECTION),
    (StudentPublished, STUDENT),
]


def is_valid(event: type[Event], body: dict[str, Any]) -> bool:
    try:
        event.model_validate(body)
    except ValidationError:
        return False
    return True


def names(count: int) -> list[str]:
    return [f"N{number}" for number in range(count)]


@pytest.mark.parametrize(("event", "body"), BASES)
def test_what_is_required_is_enough(event: type[Event], body: dict[str, Any]) -> None:
    assert is_valid(event, body)


@pytest.mark.parametrize(
    ("event", "body", "field"), [(event, body, field) for event, body in BASES for field in body]
)
def test_what_is_required_may_not_be_missing(
    event: type[Event], body: dict[str, Any], field: str
) -> None:
    lacking = {name: value for name, value in body.items() if name != field}

    assert not is_valid(event, lacking)
    assert not is_valid(event, {**body, field: None})


@pytest.mark.parametrize("field", ["student_id", "term"])
@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("a", True),
        ("A.z_0:9-", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("", False),
        ("a b", False),
        ("a\n", False),
        ("a/b", False),
        ("ä", False),
        ("a\x00", False),
        (7, False),
    ],
)
def test_identifiers_are_short_and_plain(field: str, text: Any, fits: bool) -> None:
    assert is_valid(EnrollmentRequested, {**REQUEST, field: text}) is fits


@pytest.mark.parametrize(
    "text",
    [
        "2f1c9b7e-6d1f-1c51-8d0e-0a1b2c3d4e5f",
        "2f1c9b7e-6d1f-7c51-8d0e-0a1b2c3d4e5f",
        "00000000-0000-0000-0000-000000000000",
        "2F1C9B7E6D1F4C518D0E0A1B2C3D4E5F",
    ],
)
def test_an_enrollment_id_may_be_a_uuid_of_any_version(text: str) -> None:
    request = EnrollmentRequested.model_validate({**REQUEST, "enrollment_id": text})

    assert request.enrollment_id == UUID(text)


@pytest.mark.parametrize(
    ("sections", "fits"),
    [
        (names(1), True),
        (names(SECTIONS_MAX), True),
        (names(SECTIONS_MAX + 1), False),
        ([], False),
        (["A", "B", "A"], False),
        (["A", "a"], True),
        (["A", ""], False),
        ("AB", False),
    ],
)
def test_a_request_names_up_to_fifty_distinct_sections(sections: Any, fits: bool) -> None:
    assert is_valid(EnrollmentRequested, {**REQUEST, "sections": sections}) is fits


@pytest.mark.parametrize(
    ("seconds", "fits"),
    [
        (None, True),
        (5, True),
        (0.001, True),
        (INTEGER_MAX, True),
        (INTEGER_MAX + 1, False),
        (0, False),
        (-1, False),
        ("5", False),
        (True, False),
        (float("inf"), False),
        (float("nan"), False),
    ],
)
def test_a_deadline_is_a_positive_number_of_seconds(seconds: Any, fits: bool) -> None:
    assert is_valid(EnrollmentRequested, {**REQUEST, "deadline_seconds": seconds}) is fits


@pytest.mark.parametrize("reason", ["", "because", "x" * 9999, "\x00", "\ud83c", 7, [], {"a": 1}])
def test_a_cancel_is_valid_whatever_its_reason(reason: Any) -> None:
    event = EnrollmentCancellationRequested.model_validate({**CANCEL, "reason": reason})

    kept = event.reason or ""
    assert "\x00" not in kept
    assert len(kept) <= CANCEL_REASON_LENGTH_MAX
    assert kept.encode().decode() == kept


@pytest.mark.parametrize("field", ["capacity", "credits"])
@pytest.mark.parametrize(
    ("count", "fits"),
    [(0, True), (INTEGER_MAX, True), (INTEGER_MAX + 1, False), (-1, False), ("3", False)],
)
def test_counts_are_whole_and_not_negative(field: str, count: Any, fits: bool) -> None:
    assert is_valid(SectionPublished, {**SECTION, field: count}) is fits


@pytest.mark.parametrize(
    ("version", "fits"),
    [(0, True), (VERSION_MAX, True), (VERSION_MAX + 1, False), (-1, False), (1.0, False)],
)
def test_versions_are_whole_and_fit_the_database(version: Any, fits: bool) -> None:
    assert is_valid(SectionPublished, {**SECTION, "version": version}) is fits
    assert is_valid(StudentPublished, {**STUDENT, "version": version}) is fits


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, True),
        ({"start_minute": 0, "end_minute": 1440}, True),
        ({"start_minute": 539}, True),
        ({"start_minute": 540}, False),
        ({"start_minute": -1}, False),
        ({"end_minute": 1441}, False),
        ({"days": "101000"}, False),
        ({"days": "2010000"}, False),
        ({"weeks": ""}, False),
        ({"weeks": "01" * 30}, True),
        ({"weeks": "01" * 30 + "1"}, False),
    ],
)
def test_a_meeting_ends_after_it_starts_on_days_of_a_week(
    change: dict[str, Any], fits: bool
) -> None:
    body = {**SECTION, "meetings": [{**MEETING, **change}]}

    assert is_valid(SectionPublished, body) is fits


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({"prerequisites": [["C1", "C2"], ["C3"]]}, True),
        ({"prerequisites": [[]]}, False),
        ({"prerequisites": [["C1"]] * 51}, False),
        ({"corequisites": names(50)}, True),
        ({"corequisites": names(51)}, False),
        ({"meetings": [MEETING] * 51}, False),
        ({"part": "lab"}, True),
        ({"part": ""}, False),
        ({"state": "closed"}, True),
        ({"state": "shut"}, False),
    ],
)
def test_the_lists_of_a_section_have_an_end(change: dict[str, Any], fits: bool) -> None:
    assert is_valid(SectionPublished, {**SECTION, **change}) is fits


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({"holds": [{"code": "library"}] * 50}, True),
        ({"holds": [{"code": "library"}] * 51}, False),
        ({"holds": [{"code": ""}]}, False),
        ({"completed_courses": names(1000)}, True),
        ({"completed_courses": names(1001)}, False),
        ({"windows": [WINDOW]}, True),
        ({"windows": [{**WINDOW, "opens_at": "2026-01-10T08:00:00"}]}, False),
    ],
)
def test_the_lists_of_a_student_have_an_end(change: dict[str, Any], fits: bool) -> None:
    assert is_valid(StudentPublished, {**STUDENT, **change}) is fits


def test_a_section_is_open_and_free_of_conditions_unless_said_otherwise() -> None:
    section = SectionPublished.model_validate(SECTION)

    assert section.state is SectionState.OPEN
    assert (section.meetings, section.prerequisites, section.corequisites) == ((), (), ())
    assert section.key == SectionKey(section.term, section.section_id)


def test_a_reason_code_of_a_newer_service_is_read_as_it_is() -> None:
    known, newer = (
        Reason.model_validate_json(f'{{"code": "{code}", "detail": "No."}}')
        for code in ("section_full", "academic_probation")
    )

    assert known.code is ReasonCode.SECTION_FULL
    assert newer.code == "academic_probation"


@pytest.mark.parametrize(("event", "body"), BASES)
def test_events_cannot_be_changed(event: type[Event], body: dict[str, Any]) -> None:
    made = event.model_validate(body)

    with pytest.raises(ValidationError, match="frozen"):
        made.student_id = "S2"  # type: ignore[attr-defined]
