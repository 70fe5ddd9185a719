"""The page about the metrics is that of the table, and its questions are about what there is."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.monitoring.__main__ import HERE, NAME, app
from deploy.monitoring.page import page
from deploy.monitoring.questions import QUESTIONS, Question
from shared.metric_table import TABLE
from shared.metric_types import Histogram, Metric

OF_PROMETHEUS = {"up"}
NAMES = re.compile(r"[a-z]+(?:_[a-z]+)*(?=[\[{ )]|$)")
WORDS = {"and", "by", "sum", "rate", "max", "time", "job", "breaker", "histogram_quantile"}


def exposed() -> set[str]:
    suffixes = {
        one: ("_bucket", "_count", "_sum") if isinstance(one, Histogram) else ("",) for one in TABLE
    }
    return {one.exposed + suffix for one in TABLE for suffix in suffixes[one]}


def test_the_page_is_that_of_the_table() -> None:
    said = (HERE / NAME).read_text(encoding="utf-8")
    assert said == page(), "run `make monitoring`"


@pytest.mark.parametrize("declared", TABLE, ids=lambda one: str(one.name))
def test_each_metric_has_a_row(declared: Metric) -> None:
    assert page().count(f"\n| `{declared.exposed}` | ") >= 1
    assert declared.description in page()


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: str(one.asks))
def test_a_question_is_about_metrics_that_there_are(question: Question) -> None:
    without_values = re.sub(r'"[^"]*"', "", question.expression)
    without_labels = re.sub(r"\{[^}]*\}", "", without_values)
    named = set(NAMES.findall(without_labels)) - WORDS

    assert named
    assert named <= exposed() | OF_PROMETHEUS


def test_an_old_page_is_told_of_and_written_anew(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("old")
    runner = CliRunner()

    before = runner.invoke(app, ["check", "--folder", str(tmp_path)])
    written = runner.invoke(app, ["write", "--folder", str(tmp_path)])
    after = runner.invoke(app, ["check", "--folder", str(tmp_path)])

    assert (before.exit_code, written.exit_code, after.exit_code) == (1, 0, 0)
    assert (tmp_path / NAME).read_text() == page()
