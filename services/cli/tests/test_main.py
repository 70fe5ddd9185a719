import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli import dead_letter_commands
from services.cli.main import app

COMMANDS = [
    ["up"],
    ["down"],
    ["status"],
    ["restart"],
    ["request"],
    ["cancel"],
    ["show"],
    ["why"],
    ["stuck"],
    ["sections"],
    ["dead-letters", "list"],
    ["dead-letters", "show"],
    ["dead-letters", "replay"],
    ["dead-letters", "discard"],
    ["import"],
    ["day"],
    ["audit"],
    ["chaos"],
    ["config"],
    ["export"],
    ["token"],
]
SOME_ID = "0198c0de-0000-7000-8000-000000000001"


@pytest.fixture(autouse=True)
def _nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("ENROLL_STATE_DIR", str(tmp_path))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="enroll")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_json_and_exit_codes(command: list[str]) -> None:
    result = run(*command, "--help")

    assert result.exit_code == 0
    assert "--json" in result.stdout
    assert "Exit code 0: fine" in result.stdout


def test_help_is_quick() -> None:
    """In processor time, since the machine may be busy with other tests."""
    command = [sys.executable, "-m", "services.cli", "--help"]
    subprocess.run(command, check=True, capture_output=True)  # compiles what is new

    before = os.times()
    subprocess.run(command, check=True, capture_output=True)
    after = os.times()

    used = after.children_user + after.children_system
    assert used - before.children_user - before.children_system < 0.5


def test_help_imports_nothing_heavy() -> None:
    heavy = {"faust", "confluent_kafka", "sqlalchemy", "pydantic", "rich", "opentelemetry"}
    script = "import sys, services.cli.main; print(*sys.modules)"

    said = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout

    assert not heavy & set(said.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["sections"],
        ["show", SOME_ID],
        ["why", SOME_ID],
        ["stuck"],
        ["cancel", SOME_ID],
        ["request", "--student", "s", "--term", "t", "--section", "a"],
        ["dead-letters", "list"],
        ["dead-letters", "replay", "1", "--service", "student"],
        ["audit"],
        ["export", "--term", "t", "--output", "rows.csv"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_where_nothing_runs_every_command_says_what_to_do(arguments: list[str]) -> None:
    result = run(*arguments, "--json")

    assert result.exit_code == 2
    assert "run `enroll up`" in json.loads(result.stdout)["error"]
    assert result.stderr.splitlines()[-1].startswith("enroll: nothing is running here")


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["show", "not-a-uuid"],
        ["request", "--student", "s"],
        ["up", "--instances", "0"],
        ["status", "--wrong"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_is_one_sentence_and_exit_code_2(arguments: list[str]) -> None:
    result = run(*arguments, "--json")

    assert result.exit_code == 2
    assert result.stderr.startswith("enroll: ")
    assert "error" in json.loads(result.stdout)


@pytest.mark.parametrize("arguments", [[], ["dead-letters"]], ids=["enroll", "dead-letters"])
def test_a_group_alone_shows_its_help(arguments: list[str]) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: enroll")


def test_a_missing_option_names_the_help_of_its_command() -> None:
    result = run("dead-letters", "show", "1")

    assert (
        result.stderr
        == "enroll: Missing option '--service'. See `enroll dead-letters show --help`.\n"
    )


def test_a_request_with_bad_content_names_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/postgres")

    result = run("request", "--student", "s 1", "--term", "t", "--section", "a", "--section", "a")

    assert result.exit_code == 2
    assert "student_id" in result.stderr
    assert "sections must be distinct" in result.stderr


def test_a_database_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/postgres")

    result = run("sections")

    assert result.exit_code == 2
    assert result.stderr == (
        "enroll: PostgreSQL at 127.0.0.1:1 does not answer: see `enroll status`\n"
    )


def test_a_discard_needs_a_yes_and_a_known_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    discard = ("dead-letters", "discard", "1", "--service", "student")

    without_yes = run(*discard)
    unknown = run(*discard, "--yes", "--outcome", "confirmed")

    assert "repeat it with --yes" in without_yes.stderr
    assert "it can be one of rejected, stands" in unknown.stderr


def test_status_shows_every_server_where_nothing_runs() -> None:
    result = run("status", "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "services": {},
        "servers": {
            "kafka": {"pid": None, "state": "stopped", "url": None},
            "postgres": {"pid": None, "state": "stopped", "url": None},
            "redis": {"pid": None, "state": "stopped", "url": None},
        },
    }


def test_the_operator_is_named_by_the_environment_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENROLL_OPERATOR", "amalia")

    assert dead_letter_commands.operator() == "amalia"
