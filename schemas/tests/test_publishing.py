"""What is published is current, and is never replaced by what would break someone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from schemas.__main__ import app
from schemas.files import generated_files
from schemas.publishing import HERE, out_of_date, write

Edit = Callable[[dict[str, Any]], None]

REQUESTED = "events/EnrollmentRequested.v1.json"
REJECTED = "events/EnrollmentRejected.v1.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which all is published."""
    write(tmp_path, generated_files())
    return tmp_path


def run(command: str, folder: Path) -> Result:
    return CliRunner().invoke(app, [command, "--folder", str(folder)])


def contents(folder: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in folder.rglob("*") if path.is_file()}


def publish_otherwise(folder: Path, name: str, edit: Edit) -> None:
    schema = json.loads((folder / name).read_text())
    edit(schema)
    (folder / name).write_text(json.dumps(schema))


def test_the_committed_files_are_up_to_date() -> None:
    stale = out_of_date(HERE, generated_files())

    assert not stale, "run `make schemas`:\n" + "\n".join(stale)


def test_check_is_content_with_what_write_wrote(folder: Path) -> None:
    result = run("check", folder)

    assert result.exit_code == 0
    assert "up to date" in result.output


@pytest.mark.parametrize("name", ["asyncapi.json", "choreography.md", REQUESTED])
def test_check_names_what_is_out_of_date_and_write_renews_it(folder: Path, name: str) -> None:
    path = folder / name
    path.write_text(path.read_text() + "\n")

    found = run("check", folder)
    written = run("write", folder)

    assert found.exit_code == 1
    assert f"{name} is out of date" in found.output
    assert "make schemas" in found.output
    assert written.exit_code == 0
    assert f"wrote {name}" in written.output
    assert written.output.count("wrote") == 1
    assert run("check", folder).exit_code == 0


def test_check_names_what_is_missing_and_what_is_too_much(folder: Path) -> None:
    (folder / "asyncapi.json").unlink()
    (folder / "examples" / "Old.v1.json").write_text("{}")

    result = run("check", folder)

    assert result.exit_code == 1
    assert "asyncapi.json is missing" in result.output
    assert "examples/Old.v1.json is not generated: delete it" in result.output


def test_write_begins_in_an_empty_folder(tmp_path: Path) -> None:
    result = run("write", tmp_path / "new")

    assert result.exit_code == 0
    assert run("check", tmp_path / "new").exit_code == 0


def no_limit(schema: dict[str, Any]) -> None:
    del schema["properties"]["sections"]["maxItems"]


def a_field_more(schema: dict[str, Any]) -> None:
    schema["properties"]["campus"] = {"type": "string"}


def all_required(schema: dict[str, Any]) -> None:
    schema["$defs"]["Reason"]["required"].append("section_id")


def a_stage_less(schema: dict[str, Any]) -> None:
    schema["$defs"]["Stage"]["enum"].remove("deadline")


@pytest.mark.parametrize(
    ("name", "published", "sentence"),
    [
        (REQUESTED, no_limit, "EnrollmentRequested $.sections: no maxItems became maxItems 50"),
        (REQUESTED, a_field_more, "EnrollmentRequested $.campus: was removed"),
        (
            REJECTED,
            all_required,
            "EnrollmentRejected $.reasons[].section_id: is no longer required",
        ),
        (
            REJECTED,
            a_stage_less,
            'EnrollmentRejected $.stage: takes now also the value "deadline"',
        ),
    ],
)
def test_write_refuses_what_would_break_someone_and_writes_nothing(
    folder: Path, name: str, published: Edit, sentence: str
) -> None:
    publish_otherwise(folder, name, published)
    (folder / "asyncapi.json").unlink()
    before = contents(folder)

    result = run("write", folder)

    assert result.exit_code == 1
    assert sentence in result.output
    assert "keep it as it was, or make a new version of the event" in result.output
    assert "nothing was written" in result.output
    assert contents(folder) == before


def without_deadline(schema: dict[str, Any]) -> None:
    del schema["properties"]["deadline_seconds"]


def fewer_sections(schema: dict[str, Any]) -> None:
    schema["properties"]["sections"]["maxItems"] = 10


def without_spanish(schema: dict[str, Any]) -> None:
    del schema["$defs"]["Reason"]["properties"]["detail_es"]


@pytest.mark.parametrize(
    ("name", "published"),
    [
        (REQUESTED, without_deadline),
        (REQUESTED, fewer_sections),
        (REJECTED, without_spanish),
    ],
)
def test_write_lets_pass_what_breaks_nobody(folder: Path, name: str, published: Edit) -> None:
    publish_otherwise(folder, name, published)

    result = run("write", folder)

    assert result.exit_code == 0
    assert f"wrote {name}" in result.output


def test_write_refuses_to_drop_a_published_event(folder: Path) -> None:
    (folder / "events" / "SeatsSwapped.v1.json").write_text("{}")

    result = run("write", folder)

    assert result.exit_code == 1
    assert "SeatsSwapped.v1.json: it is published, and no topic carries it" in result.output


def test_write_refuses_to_replace_what_it_cannot_read(folder: Path) -> None:
    (folder / REQUESTED).write_text("<<<<<<< ours")

    result = run("write", folder)

    assert result.exit_code == 1
    assert "EnrollmentRequested.v1.json: what is published is not JSON" in result.output


def test_the_help_tells_what_each_command_does() -> None:
    result = CliRunner().invoke(app, ["--help"])

    assert result.exit_code == 0
    assert "write" in result.output
    assert "check" in result.output
