"""What is made from the tables is what is checked in."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.monitoring.__main__ import FILES, HERE, app
from deploy.monitoring.page import page
from shared.metric_table import TABLE
from shared.metric_types import Metric


@pytest.mark.parametrize("name", FILES)
def test_each_file_is_as_it_is_made_now(name: str) -> None:
    said = (HERE / name).read_text(encoding="utf-8")
    assert said == FILES[name](), "run `make monitoring`"


@pytest.mark.parametrize("declared", TABLE, ids=lambda one: str(one.name))
def test_each_metric_has_a_row(declared: Metric) -> None:
    assert page().count(f"\n| `{declared.exposed}` | ") >= 1
    assert declared.description in page()


def test_old_files_are_told_of_and_written_anew(tmp_path: Path) -> None:
    (tmp_path / "metrics.md").write_text("old")
    runner = CliRunner()

    before = runner.invoke(app, ["check", "--folder", str(tmp_path)])
    written = runner.invoke(app, ["write", "--folder", str(tmp_path)])
    after = runner.invoke(app, ["check", "--folder", str(tmp_path)])

    assert (before.exit_code, written.exit_code, after.exit_code) == (1, 0, 0)
    assert before.stderr.count("is out of date") == len(FILES)
    assert (tmp_path / "metrics.md").read_text() == page()
