import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import loadtests.auditor
from loadtests.auditor import Invariant, Report, Violation
from loadtests.auditor.dumps import Cut, write
from loadtests.auditor.tests.day import ends_of, sound_day
from services.cli import audit_commands
from services.cli.main import app
from services.cli.target import Target

URLS = {"enrollment": "postgresql://boss@db:5432/enrollment"}
OVERSOLD = Violation(Invariant.SEATS, "2030/a", "2 seats taken of 1")


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the auditor say this report."""

    def prepare(report: Report) -> None:
        async def audit(*_arguments: object, on_progress: Any, **_options: object) -> Report:
            for text in ("waiting", "waiting", "judging"):
                on_progress(text)
            return report

        monkeypatch.setattr(loadtests.auditor, "audit", audit)
        monkeypatch.setattr(audit_commands, "find_target", lambda: Target("kafka:1", URLS))

    return prepare


def test_no_violation_is_exit_code_0_with_counts(say: Any) -> None:
    say(Report(enrollments_by_state={"confirmed": 3}))

    result = CliRunner().invoke(app, ["audit"])

    assert result.exit_code == 0
    assert "enrollments confirmed  3" in result.stdout


def test_each_violation_is_one_line_and_exit_code_1(say: Any) -> None:
    say(Report(violations=(OVERSOLD,)))

    result = CliRunner().invoke(app, ["audit"])

    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == "invariant 1: 2030/a: 2 seats taken of 1"


def test_what_still_moves_is_named_and_exit_code_2(say: Any) -> None:
    say(Report(still_moving=("outbox of student: 3 events",)))

    result = CliRunner().invoke(app, ["audit"])

    assert result.exit_code == 2
    assert "  outbox of student: 3 events" in result.stdout


def test_progress_is_not_repeated(say: Any) -> None:
    say(Report())

    result = CliRunner().invoke(app, ["audit"])

    assert result.stderr == "waiting\njudging\n"


def test_a_dump_is_judged_without_any_server(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    write_day(path, is_at_rest=True)

    result = CliRunner().invoke(app, ["audit", "--dump", str(path)])

    assert result.exit_code == 1  # the sound day has an enrollment that waits for an operator
    assert "EnrollmentOpened, but 0 outcomes; 1 is due" in result.stdout
    assert "not checked: the tables, which a dump does not hold" in result.stdout


def test_what_a_dump_in_motion_lacks_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    write_day(path, is_at_rest=False)

    result = CliRunner().invoke(app, ["audit", "--dump", "-", "--json"], path.read_bytes())

    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["violations"] == []
    assert report["still_open"] == {"outcomes": 1, "answers of student and capacity": 1}


def test_a_dump_that_was_cut_off_is_exit_code_2_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    write_day(path, is_at_rest=True)
    path.write_bytes(path.read_bytes()[:-100])

    result = CliRunner().invoke(app, ["audit", "--dump", str(path)])

    assert result.exit_code == 2
    assert f"enroll: {path}: line 52 is no record (" in result.stderr


def test_a_dump_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["audit", "--dump", str(tmp_path / "none")])

    assert result.exit_code == 2
    assert "none cannot be read (No such file or directory)" in result.stderr


def write_day(path: Path, *, is_at_rest: bool) -> None:
    records = sound_day().records()
    with path.open("w") as file:
        write(Cut(ends_of(records), is_at_rest), records, file, lambda _: None)


async def test_a_dump_goes_to_standard_output(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_commands, "find_target", lambda: target)

    result = await asyncio.to_thread(CliRunner().invoke, app, ["dump", "-"])

    assert result.exit_code == 0
    first, *records, last = map(json.loads, result.stdout.splitlines())
    assert first["dump"] == 1
    assert last == {"records": len(records)}
    assert result.stderr == f"{len(records):,} records\n"


def test_a_dump_to_standard_output_is_no_json_object() -> None:
    result = CliRunner().invoke(app, ["dump", "-", "--json"])

    assert result.exit_code == 2
    assert "name a file for the dump" in result.stderr
