import json
from pathlib import Path
from xml.etree import ElementTree as ET

from loadtests.jmeter.plans import PLANS
from loadtests.jmeter.process import Files
from loadtests.jmeter.report import Result, as_markdown, missed_sentence, result_of, write_reports
from loadtests.jmeter.targets import Verdict
from loadtests.jmeter.tests.making import steady

MET = Verdict("p95 < 1 s", True, "0.050 s (all)")
MISSED = Verdict("errors < 1 %", False, "2 % of 100; most often GET: 500 <|&\x00 gone")


def result(*verdicts: Verdict) -> Result:
    samples = [*steady(50, 10.0), *steady(50, 10.0, label="GET", group="Others")]
    files = Files(Path("results/health-1"))
    return result_of(PLANS["health"], samples, verdicts, load=1.5, files=files)


def test_junit_has_a_case_for_each_target_and_a_failure_for_a_missed_one(tmp_path: Path) -> None:
    write_reports(tmp_path, [result(MET, MISSED)])

    [suite] = ET.parse(tmp_path / "junit.xml").getroot()
    cases = {case.get("name"): case.find("failure") for case in suite}
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("health", "2", "1")
    assert cases["p95 < 1 s"] is None
    failure = cases["errors < 1 %"]
    assert failure is not None
    assert failure.text == missed_sentence(result(MISSED), MISSED)


def test_json_says_whether_all_is_fine_and_tells_all_figures(tmp_path: Path) -> None:
    write_reports(tmp_path, [result(MET), result(MET, MISSED)])

    found = json.loads((tmp_path / "result.json").read_text())
    assert not found["is_fine"]
    assert found["plans"][0]["by_label"]["GET"]["p95_ms"] == 50
    assert found["plans"][1]["verdicts"][1]["is_met"] is False


def test_the_summary_has_rows_that_hold_together() -> None:
    text = as_markdown([result(MET, MISSED)])

    assert "## health: missed, 5 s" in text
    assert "load average was 1.5" in text
    assert "| **missed** | errors < 1 % | 2 % of 100; most often GET: 500 <\\|& gone |" in text
    rows = [line for line in text.splitlines() if line.startswith(("| GET", "| Others"))]
    assert {row.count("|") for row in rows} == {11}


def test_a_missed_target_is_told_in_a_sentence_with_where_to_look() -> None:
    verdict = Verdict("at least 100/s", False, "59.9/s")

    assert missed_sentence(result(verdict), verdict) == (
        "health missed its target: at least 100/s; found: 59.9/s. See results/health-1."
    )
