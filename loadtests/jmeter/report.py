"""Writes what the plays have shown: Markdown for people, JSON for programs, JUnit XML for CI."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from loadtests.jmeter.figures import Figures, divided, figures_of
from loadtests.jmeter.jtl import Sample
from loadtests.jmeter.plans import Plan
from loadtests.jmeter.process import Files
from loadtests.jmeter.targets import Verdict

HEADER: Final = (
    "| | samples | a second | p50 ms | p95 ms | p99 ms | max ms | errors | refused | available |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)
UNPRINTABLE: Final = {code: " " for code in range(32) if chr(code) not in "\t\n\r"}  # no XML


@dataclass(frozen=True)
class Result:
    """What one plan has shown."""

    plan: str
    seconds: float
    by_label: dict[str, Figures]
    by_group: dict[str, Figures]
    verdicts: Sequence[Verdict]
    load: float  # the machine's load average when it began
    folder: Path

    @property
    def missed(self) -> list[Verdict]:
        """Give the targets that were missed."""
        return [verdict for verdict in self.verdicts if not verdict.is_met]


def result_of(
    plan: Plan,
    samples: Sequence[Sample],
    verdicts: Sequence[Verdict],
    *,
    load: float,
    files: Files,
) -> Result:
    """Count what was played."""
    by_label = divided(samples, lambda one: one.label)
    by_group = divided(samples, lambda one: one.group)
    began_ms = min(sample.began_ms for sample in samples)
    return Result(
        plan=plan.name,
        seconds=(max(sample.ended_ms for sample in samples) - began_ms) / 1000,
        by_label={name: figures_of(part) for name, part in by_label.items()},
        by_group={name: figures_of(part) for name, part in by_group.items()},
        verdicts=verdicts,
        load=load,
        folder=files.folder,
    )


def write_reports(folder: Path, results: Sequence[Result]) -> Path:
    """Write all three; gives the one for people."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(as_json(results), indent=2))
    ET.ElementTree(as_junit(results)).write(
        folder / "junit.xml", encoding="utf-8", xml_declaration=True
    )
    summary = folder / "summary.md"
    summary.write_text(as_markdown(results))
    return summary


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Give all figures and verdicts."""
    plans = [{**asdict(one), "folder": str(one.folder)} for one in results]
    return {"is_fine": not any(one.missed for one in results), "plans": plans}


def as_junit(results: Sequence[Result]) -> ET.Element:
    """Give a test suite for each plan, and in it a test case for each target."""
    root = ET.Element("testsuites", name="jmeter")
    for result in results:
        suite = ET.SubElement(
            root,
            "testsuite",
            name=result.plan,
            tests=str(len(result.verdicts)),
            failures=str(len(result.missed)),
            time=f"{result.seconds:.3f}",
        )
        for verdict in result.verdicts:
            _add_case(suite, result, verdict)
    return root


def _add_case(suite: ET.Element, result: Result, verdict: Verdict) -> None:
    case = ET.SubElement(suite, "testcase", classname=f"jmeter.{result.plan}", name=verdict.target)
    found = verdict.found.translate(UNPRINTABLE)
    if verdict.is_met:
        ET.SubElement(case, "system-out").text = found
    else:
        ET.SubElement(case, "failure", message=found).text = missed_sentence(result, verdict)


def missed_sentence(result: Result, verdict: Verdict) -> str:
    """Say which target was missed, by how much, and where to look."""
    text = f"{result.plan} missed its target: {verdict.target}; found: {verdict.found}."
    return f"{text} See {result.folder}.".translate(UNPRINTABLE)


def as_markdown(results: Sequence[Result]) -> str:
    """Give tables of targets and figures."""
    return "\n".join(line for result in results for line in _section(result))


def _section(result: Result) -> list[str]:
    verdicts = [
        f"| {'met' if one.is_met else '**missed**'} | {_cell(one.target)} | {_cell(one.found)} |"
        for one in result.verdicts
    ]
    groups = [f"| {_cell(name)} | {_row(one)}" for name, one in result.by_group.items()]
    return [
        f"## {result.plan}: {'missed' if result.missed else 'met'}, {result.seconds:.0f} s",
        "",
        "| | target | found |",
        "|---|---|---|",
        *verdicts,
        "",
        HEADER,
        *(f"| {_cell(name)} | {_row(one)}" for name, one in result.by_label.items()),
        *(groups if len(groups) > 1 else []),
        "",
        f"The machine's load average was {result.load:.1f} when it began.",
        "",
        f"JMeter's own report: {result.folder / 'report' / 'index.html'}",
        "",
    ]


def _row(figures: Figures) -> str:
    return (
        f"{figures.samples:,} | {figures.per_second:,.1f} | {figures.p50_ms:,} | "
        f"{figures.p95_ms:,} | {figures.p99_ms:,} | {figures.max_ms:,} | "
        f"{100 * figures.error_share:.2f} % | {figures.refused:,} | "
        f"{100 * figures.available_share:.3f} % |"
    )


def _cell(text: str) -> str:
    return " ".join(text.translate(UNPRINTABLE).replace("|", "\\|").split())
