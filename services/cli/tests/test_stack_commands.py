import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from deploy.local.state import ProcessState
from deploy.local.status import ServersStatus, ServiceStatus, Status
from loadtests.day.dataset import read_day
from services.cli.stack_commands import EXAMPLE_SET, faults_of, lag_of, ways_in

ROOT = Path(__file__).parents[3]
FINE = {"ready": True, "checks": {"database": True, "kafka": True}, "out_of_range": []}


def test_a_service_that_is_fine_has_no_faults() -> None:
    assert faults_of("student", FINE) == []


def test_failing_checks_are_named() -> None:
    service = FINE | {"checks": {"database": False, "kafka": True, "group_joined": False}}

    assert faults_of("student", service) == ["student is not ready: database, group_joined"]


def test_a_partition_out_of_range_says_what_to_do() -> None:
    [fault] = faults_of("student-2", FINE | {"out_of_range": ["enrollment.events/3"]})

    assert "has stopped reading enrollment.events/3" in fault
    [page] = [word for word in fault.split() if word.endswith(".md")]
    assert (ROOT / page).is_file()


def test_lag_is_added_up_over_the_partitions() -> None:
    assert lag_of({"lag": {"a/0": 3, "a/1": 4}}) == 7


def test_a_service_that_does_not_answer_has_no_lag() -> None:
    assert lag_of({"pid": None}) is None


def status_with(**urls: str | None) -> Status:
    services = {
        name: ServiceStatus(pid=1, state=ProcessState.READY, admin_url="http://a", url=url)
        for name, url in urls.items()
    }
    return Status(services=services, servers=ServersStatus())


def test_where_there_is_no_ingress_there_is_no_way_in() -> None:
    assert ways_in(status_with(student=None)) == []


def test_the_line_to_paste_asks_for_what_the_shipped_day_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: "/bin/enroll")

    said, line = ways_in(status_with(student=None, ingress="http://127.0.0.1:7"))

    assert "http://127.0.0.1:7" in said
    words = shlex.split(line)
    assert words[:5] == ["curl", "-s", "-X", "POST", "http://127.0.0.1:7/enrollments"]
    assert "Authorization: Bearer $(enroll token --student S000001)" in words
    asked, day = json.loads(words[-1]), read_day(ROOT / EXAMPLE_SET)
    assert asked["term"] == day.term
    assert set(asked["sections"]) <= {section.section_id for section in day.sections}
    assert "S000001" in {student.student_id for student in day.students}


def test_a_program_that_is_not_on_the_path_is_named_as_it_was_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["/some where/enroll", "up"])

    _, line = ways_in(status_with(ingress="http://127.0.0.1:7"))

    assert "$('/some where/enroll' token --student S000001)" in line


def test_all_ingresses_are_named() -> None:
    said, _ = ways_in(status_with(**{"ingress": "http://i:1", "ingress-2": "http://i:2"}))

    assert "http://i:1, http://i:2" in said
