"""Plans of some seconds on a real stack, by the command that people use."""

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import psutil
import pytest

from deploy.local import processes, stack
from loadtests.jmeter.tests.playing import RUN_TESTS, results_of, run_tests, stack_in

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]

GONE_SECONDS = 30
# Of a busy machine nothing is asked but right answers.
SHORT = (
    *("--threads", "6", "--rampup", "1", "--loops", "3", "--warm-up", "0"),
    *("--p95-seconds", "60", "--p99-seconds", "60", "-J", "answer_timeout_ms=60000"),
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the command finds: a stack of this module's own, which is up, and a place to write."""
    with stack_in(tmp_path_factory.mktemp("jmeter")) as found:
        yield found


@pytest.fixture(scope="module")
def played(environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Some plans, played once."""
    return run_tests(environment, "concurrency", "idempotency", *SHORT)


def test_plans_are_played_judged_and_reported(
    environment: dict[str, str], played: "subprocess.CompletedProcess[str]"
) -> None:
    assert played.returncode == 0, played.stdout + played.stderr
    assert played.stdout == "All targets are met.\n"
    [report] = results_of(environment, "run-*/result.json")
    plans = {plan["plan"]: plan for plan in json.loads(report.read_text())["plans"]}
    assert plans["concurrency"]["by_label"]["POST /enrollments"]["samples"] == 18
    assert plans["concurrency"]["by_label"]["GET /sections/{term}/{id}"]["samples"] == 5
    assert plans["idempotency"]["by_label"]["POST /enrollments again"]["samples"] == 18
    audits = [plan["verdicts"][-1]["found"] for plan in plans.values()]
    assert audits == ["0 violations", "0 violations"]
    suites = ET.parse(report.with_name("junit.xml")).getroot()
    assert [suite.get("failures") for suite in suites] == ["0", "0"]
    assert "## concurrency: met" in report.with_name("summary.md").read_text()
    assert len(results_of(environment, "*/report/index.html")) == 2


def test_each_missed_target_is_told_in_a_sentence_and_ends_with_code_1(
    environment: dict[str, str], played: "subprocess.CompletedProcess[str]", tmp_path: Path
) -> None:
    assert played.returncode == 0, played.stdout + played.stderr
    [data] = results_of(environment, "run-*/data")
    with_other_seats(data, tmp_path)

    done = run_tests(
        environment, "concurrency", *SHORT, "--data", str(tmp_path), "--p95-seconds", "0"
    )

    assert done.returncode == 1, done.stdout + done.stderr
    sentences = done.stdout.splitlines()
    assert any("missed its target: p95 < 0 s; found: " in one for one in sentences)
    [broken] = [one for one in sentences if "no answer breaks a promise" in one]
    assert "5 do: GET /sections/{term}/{id}" in broken
    assert str(results_of(environment, "concurrency-*")[-1]) in broken


def with_other_seats(data: Path, folder: Path) -> None:
    """Copy what a plan reads, but have it expect more seats than there are."""
    shutil.copytree(data, folder, dirs_exist_ok=True)
    header, *sections = (data / "rush_sections.csv").read_text().splitlines()
    more = [f"{section.rpartition(',')[0]},99" for section in sections]
    (folder / "rush_sections.csv").write_text("\n".join([header, *more, ""]))


def test_a_host_that_does_not_answer_is_refused_with_what_to_do(
    environment: dict[str, str],
) -> None:
    done = run_tests(environment, "health", "--host", "http://127.0.0.1:1")

    assert (done.returncode, done.stdout) == (2, "")
    assert "http://127.0.0.1:1/health/ready does not answer" in done.stderr
    assert "without --host a stack is started here" in done.stderr


def test_what_is_lacking_is_said_before_anything_is_played(
    environment: dict[str, str], played: "subprocess.CompletedProcess[str]"
) -> None:
    assert played.returncode == 0, played.stdout + played.stderr
    [data] = results_of(environment, "run-*/data")
    found = stack.status(Path(environment["ENROLL_STATE_DIR"]))
    [url] = [one.url for one in found.services.values() if one.url is not None]

    without_files = run_tests(environment, "health", "--data", ".")
    without_key = run_tests(environment, "health", "--host", url)
    without_databases = run_tests(environment, "health", "--host", url, "--data", str(data))

    assert {without_files.returncode, without_key.returncode, without_databases.returncode} == {2}
    assert "make them by `python -m loadtests.jmeter.data" in without_files.stderr
    assert "give --private-key FILE" in without_key.stderr
    assert "or say --no-audit" in without_databases.stderr


def test_an_interrupt_stops_jmeter_and_leaves_a_stack_that_ran_before(
    environment: dict[str, str], played: "subprocess.CompletedProcess[str]"
) -> None:
    assert played.returncode == 0, played.stdout + played.stderr
    [data] = results_of(environment, "run-*/data")
    with subprocess.Popen(
        [RUN_TESTS, "soak", *SHORT, "--duration", "600", "--data", data],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = next(line for line in process.stderr if line.startswith("summary"))
        [jmeter] = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if "ApacheJMeter.jar" in " ".join(child.cmdline())
        ]
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()

    assert process.returncode == 130, said + rest
    assert "interrupted" in rest
    assert processes.wait_until(lambda: not jmeter.is_running(), GONE_SECONDS)
    assert stack.status(Path(environment["ENROLL_STATE_DIR"])).is_up


def test_help_tells_every_plan_and_option(environment: dict[str, str]) -> None:
    done = run_tests(environment, "--help")

    assert done.returncode == 0, done.stderr
    for word in ("inscription", "soak", "--host", "--p95-seconds", "-J NAME=VALUE", "Exit code 0"):
        assert word in done.stdout
