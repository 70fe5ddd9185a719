"""The command line on the whole system, as its users meet it: as processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

COMMAND_SECONDS = 240
INTERRUPT_SECONDS = 10
TERM = "2030"
SECTIONS = """\
section_id,course_id,capacity,credits,days,weeks,start_minute,end_minute
a,1,1,3,1000000,111,540,600
b,2,5,3,0100000,111,540,600
"""
STUDENTS = """\
student_id,max_credits
s-1,20
s-2,20
"""

pytestmark = pytest.mark.timeout(600)

Enroll = Callable[..., "tuple[int, dict[str, Any]]"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    without = {"KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"}
    kept = {name: value for name, value in os.environ.items() if name not in without}
    return kept | {"ENROLL_STATE_DIR": str(tmp_path_factory.mktemp("stack"))}


@pytest.fixture(scope="module")
def enroll(environment: dict[str, str]) -> Iterator[Enroll]:
    """Run one command with --json; gives its exit code and its object."""

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        ended = subprocess.run(
            [sys.executable, "-m", "services.cli", *arguments, "--json"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert "Traceback" not in ended.stderr
        return ended.returncode, json.loads(ended.stdout)

    yield run
    run("down", "--wipe")


@pytest.fixture
def running(enroll: Enroll, tmp_path: Path) -> Enroll:
    """The system up, with a small catalog."""
    code, said = enroll("up")
    assert code == 0, said
    (tmp_path / "sections.csv").write_text(SECTIONS)
    (tmp_path / "students.csv").write_text(STUDENTS)
    code, said = enroll("import", str(tmp_path), "--term", TERM)
    assert code == 0, said
    return enroll


def test_an_interrupted_up_leaves_nothing_running(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "services.cli", "up"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as starting:
        assert starting.stderr is not None
        assert starting.stderr.readline()  # the first progress: something was started
        began = time.monotonic()

        starting.send_signal(signal.SIGINT)
        starting.wait(INTERRUPT_SECONDS)

    assert time.monotonic() - began < INTERRUPT_SECONDS
    assert starting.returncode == 130
    state = json.loads((Path(environment["ENROLL_STATE_DIR"]) / "state.json").read_text())
    assert state["servers"] == {} or not any(
        Path(f"/proc/{one['identity']['pid']}").exists()
        for one in state["servers"].values()
        if one["identity"]
    )


def test_a_student_gets_a_seat_and_gives_it_back(running: Enroll) -> None:
    ask = ("--term", TERM, "--section", "a", "--wait")

    first_code, first = running("request", "--student", "s-1", *ask)
    full_code, full = running("request", "--student", "s-2", *ask)
    cancel_code, cancelled = running("cancel", first["enrollment_id"], "--wait")
    again_code, _ = running("request", "--student", "s-2", *ask)

    assert (first_code, first["state"]) == (0, "confirmed")
    assert (full_code, full["stage"]) == (1, "capacity")
    assert [reason["code"] for reason in full["reasons"]] == ["section_full"]
    assert (cancel_code, cancelled["state"]) == (0, "cancelled")
    assert again_code == 0
    audit_code, report = running("audit")
    assert (audit_code, report["violations"]) == (0, [])


def test_a_hold_stays_until_a_file_says_otherwise(running: Enroll, tmp_path: Path) -> None:
    ask = ("request", "--student", "s-1", "--term", TERM, "--section", "b", "--wait")
    imported = ("import", str(tmp_path), "--term", TERM)
    holds, rows = tmp_path / "holds.csv", tmp_path / "rows.jsonl"

    holds.write_text("student_id,code\ns-1,debt\n")
    named_code, named = running(*imported)
    holds.unlink()
    absent_code, absent = running(*imported)
    held_code, held = running(*ask)
    holds.write_text("student_id,code\n")
    running(*imported)
    free_code, free = running(*ask)
    export_code, export = running(
        *("export", "--term", TERM, "--format", "jsonl", "--output", str(rows))
    )

    assert (named_code, named["students_published"]) == (0, 1)
    assert (absent_code, absent["students_published"]) == (0, 0)
    assert (held_code, [reason["code"] for reason in held["reasons"]]) == (1, ["student_hold"])
    assert free_code == export_code == 0
    exported = [json.loads(line) for line in rows.read_text().splitlines()]
    assert len(exported) == export["rows"]
    assert free["enrollment_id"] in {row["enrollment_id"] for row in exported}


def test_status_names_every_process(running: Enroll) -> None:
    code, said = running("status")

    assert code == 0
    assert set(said["services"]) == {"enrollment", "student", "capacity", "ingress"}
    for service in said["services"].values():
        assert (service["state"], service["ready"]) == ("ready", True)
        assert service["out_of_range"] == []
    assert said["services"]["ingress"]["url"].startswith("http://127.0.0.1:")
    assert {server["state"] for server in said["servers"].values()} == {"ready"}


def test_a_restarted_service_is_another_process(running: Enroll) -> None:
    before = running("status")[1]["services"]["capacity"]["pid"]

    code, said = running("restart", "capacity")

    assert code == 0
    assert said["services"]["capacity"]["pid"] != before


def test_down_stops_everything(running: Enroll) -> None:
    code, said = running("down")

    assert (code, said) == (0, {"stopped": True, "wiped": False})
    status_code, status = running("status")
    assert status_code == 1
    assert {server["state"] for server in status["servers"].values()} == {"stopped"}
    assert running("sections")[0] == 2
