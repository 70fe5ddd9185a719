"""The schemas say of each event what the models say, and what is on the wire."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

from schemas.event_schemas import _without_nulls
from schemas.messages import example_body
from schemas.tests.validation import is_valid, published_schema
from shared.choreography import TOPIC_OF
from shared.events import (
    EnrollmentCancellationRequested,
    EnrollmentRejected,
    EnrollmentRequested,
    Event,
    SectionPublished,
    StudentPublished,
)

EVENTS = list(TOPIC_OF)
OURS = [event for event in EVENTS if TOPIC_OF[event].writer is not None]
FROM_OUTSIDE = [event for event in EVENTS if TOPIC_OF[event].writer is None]
ABSENT = object()

MEETING = {"days": "0001000", "weeks": "1", "start_minute": 0, "end_minute": 1440}
WINDOW = {"term": "T", "opens_at": "2026-08-17T13:00:00Z", "closes_at": "2026-08-17T13:00:00Z"}

READ: list[tuple[type[Event], str, Any]] = [
    (EnrollmentRequested, "sections", ["A"]),
    (EnrollmentRequested, "sections", [str(n) for n in range(50)]),
    (EnrollmentRequested, "term", "a" * 64),
    (EnrollmentRequested, "deadline_seconds", ABSENT),
    (EnrollmentRequested, "deadline_seconds", None),
    (EnrollmentRequested, "deadline_seconds", 3),
    (EnrollmentRequested, "deadline_seconds", 0.5),
    (EnrollmentRequested, "a_field_of_the_future", {"any": "thing"}),
    (EnrollmentCancellationRequested, "reason", ABSENT),
    (EnrollmentCancellationRequested, "reason", None),
    (EnrollmentCancellationRequested, "reason", "x" * 1000),
    (SectionPublished, "version", 2**63 - 1),
    (SectionPublished, "capacity", 0),
    (SectionPublished, "part", None),
    (SectionPublished, "part", ABSENT),
    (SectionPublished, "state", ABSENT),
    (SectionPublished, "state", "cancelled"),
    (SectionPublished, "meetings", []),
    (SectionPublished, "meetings", [MEETING]),
    (SectionPublished, "prerequisites", [["A", "B"], ["C"]]),
    (StudentPublished, "windows", [WINDOW]),
    (StudentPublished, "holds", ABSENT),
    (StudentPublished, "completed_courses", ["C"] * 1000),
]

REFUSED: list[tuple[type[Event], str, Any]] = [
    (EnrollmentRequested, "enrollment_id", "no uuid"),
    (EnrollmentRequested, "enrollment_id", ABSENT),
    (EnrollmentRequested, "student_id", ""),
    (EnrollmentRequested, "student_id", "a b"),
    (EnrollmentRequested, "student_id", 7),
    (EnrollmentRequested, "term", "a" * 65),
    (EnrollmentRequested, "term", None),
    (EnrollmentRequested, "sections", []),
    (EnrollmentRequested, "sections", ["A", "A"]),
    (EnrollmentRequested, "sections", [str(n) for n in range(51)]),
    (EnrollmentRequested, "sections", ["A/B"]),
    (EnrollmentRequested, "sections", "A"),
    (EnrollmentRequested, "deadline_seconds", 0),
    (EnrollmentRequested, "deadline_seconds", 2**31),
    (EnrollmentRequested, "deadline_seconds", "20"),
    (SectionPublished, "version", -1),
    (SectionPublished, "version", 2**63),
    (SectionPublished, "version", "1"),
    (SectionPublished, "capacity", 2**31),
    (SectionPublished, "credits", 1.5),
    (SectionPublished, "part", ""),
    (SectionPublished, "part", "a" * 65),
    (SectionPublished, "state", "full"),
    (SectionPublished, "state", None),
    (SectionPublished, "meetings", [{**MEETING, "days": "000100"}]),
    (SectionPublished, "meetings", [{**MEETING, "weeks": "1" * 61}]),
    (SectionPublished, "meetings", [{**MEETING, "start_minute": -1}]),
    (SectionPublished, "meetings", [{**MEETING, "end_minute": 1441}]),
    (SectionPublished, "meetings", [MEETING] * 51),
    (SectionPublished, "prerequisites", [[]]),
    (SectionPublished, "corequisites", ["C"] * 51),
    (StudentPublished, "max_credits", ABSENT),
    (StudentPublished, "holds", [{"code": ""}]),
    (StudentPublished, "completed_courses", ["C"] * 1001),
    (StudentPublished, "windows", [{**WINDOW, "opens_at": "2026-08-17T13:00:00"}]),
    (StudentPublished, "windows", [{**WINDOW, "opens_at": "soon"}]),
]


def body(event_type: type[Event], field: str, value: Any) -> dict[str, Any]:
    changed = {**example_body(event_type), field: value}
    return {name: content for name, content in changed.items() if content is not ABSENT}


def is_read(event_type: type[Event], content: Any) -> bool:
    try:
        event_type.model_validate_json(json.dumps(content))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("event_type", EVENTS)
def test_a_schema_is_json_schema_and_is_named_after_its_event(event_type: type[Event]) -> None:
    schema = published_schema(event_type)

    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"].endswith(f":{event_type.__name__}.v1.json")


@pytest.mark.parametrize(("event_type", "field", "value"), READ)
def test_what_the_schema_allows_is_read(event_type: type[Event], field: str, value: Any) -> None:
    content = body(event_type, field, value)

    assert is_valid(event_type, content)
    assert is_read(event_type, content)


@pytest.mark.parametrize(("event_type", "field", "value"), REFUSED)
def test_what_the_schema_forbids_is_refused(
    event_type: type[Event], field: str, value: Any
) -> None:
    content = body(event_type, field, value)

    assert not is_valid(event_type, content)
    assert not is_read(event_type, content)


def test_what_json_schema_cannot_say_is_described() -> None:
    meeting = published_schema(SectionPublished)["$defs"]["Meeting"]["properties"]
    reason = published_schema(EnrollmentCancellationRequested)["properties"]["reason"]

    assert meeting["end_minute"]["description"] == "greater than start_minute"
    assert "500" in reason["description"]


@pytest.mark.parametrize("event_type", OURS)
def test_what_our_services_write_is_never_null(event_type: type[Event]) -> None:
    text = json.dumps(published_schema(event_type))

    assert '"null"' not in text
    assert '"default"' not in text


@pytest.mark.parametrize("event_type", FROM_OUTSIDE)
def test_what_outside_systems_write_needs_no_field_that_has_a_default(
    event_type: type[Event],
) -> None:
    needed = {name for name, field in event_type.model_fields.items() if field.is_required()}

    assert set(published_schema(event_type)["required"]) == needed


def test_what_may_be_absent_in_a_rejection_is_not_required() -> None:
    schema = published_schema(EnrollmentRejected)

    assert {"enrollment_id", "student_id", "stage", "reasons"} == set(schema["required"])
    assert set(schema["$defs"]["Reason"]["required"]) == {"code", "detail"}


class Written(BaseModel):
    count: int = 0
    text: str | None = None
    either: int | str | None = None


def test_a_field_with_a_default_is_always_written_unless_it_is_null() -> None:
    schema = _without_nulls(Written.model_json_schema(mode="serialization"))

    assert schema["required"] == ["count"]
    assert schema["properties"]["text"] == {"title": "Text", "type": "string"}
    assert schema["properties"]["either"]["anyOf"] == [{"type": "integer"}, {"type": "string"}]
