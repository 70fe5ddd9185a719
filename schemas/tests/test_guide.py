"""The integrators' guide says what the code does."""

import json
from pathlib import Path

import pytest

from schemas.tests.guide import GUIDE, SCHEMAS, Block, blocks, table
from schemas.tests.validation import published_schema
from services.enrollment.settings import EnrollmentSettings
from shared import events
from shared.choreography import TOPICS
from shared.codec import BODY_BYTES_MAX
from shared.events import (
    CANCEL_REASON_LENGTH_MAX,
    COMPLETED_COURSES_MAX,
    SECTIONS_MAX,
    Event,
    ReasonCode,
    SectionPublished,
    Stage,
    StudentPublished,
)
from shared.message import Unreadability
from shared.reasons import TEXTS
from shared.topics import RETENTION_MS

PROGRAMS = sorted(path for path in (SCHEMAS / "integrating").iterdir() if path.is_file())
EVENTS = [block for block in blocks() if block.info.startswith("json ")]
LINES_MAX = 39


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_each_program_stands_in_the_guide_as_it_is(path: Path) -> None:
    text = path.read_text()

    shown = {block.info.split()[-1]: block.text for block in blocks()}

    assert shown[path.name] == text
    assert len(text.splitlines()) <= LINES_MAX


def test_the_guide_shows_no_program_that_is_not_there() -> None:
    shown = {block.info.split()[-1] for block in blocks() if not block.info.startswith("json ")}

    assert shown == {path.name for path in PROGRAMS}


@pytest.mark.parametrize("block", EVENTS, ids=lambda block: block.info)
def test_each_example_is_what_it_is_called(block: Block) -> None:
    event_type = getattr(events, block.info.removeprefix("json "))
    written = json.loads(block.text)

    read = event_type.model_validate_json(block.text)

    assert json.loads(read.model_dump_json(exclude_unset=True)).keys() == written.keys()


def test_every_reason_is_explained_with_its_own_sentences_and_stage() -> None:
    rows = table("Every refusal")

    assert set(rows) == set(ReasonCode)
    for code, (stage, english, spanish, advice) in rows.items():
        assert (english, spanish) == TEXTS[ReasonCode(code)]
        assert set(stage.split(" or ")) <= {*Stage, "never in an outcome"}
        assert advice


def test_every_reason_of_a_dead_letter_is_explained() -> None:
    assert set(table("Dead letters")) == set(Unreadability)


def test_the_topics_are_those_that_outside_systems_write_and_the_one_of_outcomes() -> None:
    shown = table("Topics and keys")

    outside = [topic for topic in TOPICS if topic.writer is None]
    assert {name for name, (you, *_) in shown.items() if you == "write"} == {
        topic.name for topic in outside
    }
    for topic in TOPICS:
        if topic.name in shown:
            *_, carried = shown[topic.name]
            assert all(f"`{event.__name__}`" in carried for event in topic.events)


def test_the_limits_are_those_of_the_code() -> None:
    text = GUIDE.read_text()

    assert f"at most {BODY_BYTES_MAX // 1024} KiB" in text
    assert f"more than {BODY_BYTES_MAX // 1024} KiB" in text
    assert f"1 to {SECTIONS_MAX} sections" in text
    assert f"{CANCEL_REASON_LENGTH_MAX} characters are kept" in text
    assert f"kept for {RETENTION_MS // (24 * 3600 * 1000)} days" in text


def items_max(event_type: type[Event], field: str) -> str:
    return f"{published_schema(event_type)['properties'][field]['maxItems']:,}"


def test_the_limits_of_the_catalogs_are_those_of_the_published_schemas() -> None:
    text = GUIDE.read_text()

    student = {name: items_max(StudentPublished, name) for name in ("holds", "windows")}
    courses = items_max(StudentPublished, "completed_courses")
    section = {
        name: items_max(SectionPublished, name)
        for name in ("meetings", "prerequisites", "corequisites")
    }

    assert courses == f"{COMPLETED_COURSES_MAX:,}"
    assert (
        f"at most {student['holds']} holds, {student['windows']} windows "
        f"and {courses} completed courses"
    ) in text
    assert (
        f"at most {section['meetings']} meetings, {section['prerequisites']} lists of "
        f"prerequisites with {SECTIONS_MAX} courses each, and {section['corequisites']} "
        "corequisites"
    ) in text


def test_the_times_are_the_defaults_of_the_settings() -> None:
    text = GUIDE.read_text()
    fields = EnrollmentSettings.model_fields

    default, maximum, early_cancel_days = (
        fields[name].default
        for name in ("deadline_default_seconds", "deadline_maximum_seconds", "early_cancel_days")
    )

    assert default == maximum
    assert f"both {default} s unless they chose otherwise" in text
    assert f"remembered for {early_cancel_days} days" in text
