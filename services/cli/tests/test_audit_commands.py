from typing import Any

import pytest
from typer.testing import CliRunner

import loadtests.auditor
from loadtests.auditor import Invariant, Report, Violation
from services.cli import audit_commands
from services.cli.main import app
from services.cli.target import Target

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
        monkeypatch.setattr(audit_commands, "find_target", lambda: Target("kafka:1", {}))

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
