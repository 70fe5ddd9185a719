"""The alerts are rules that Prometheus takes, about metrics that there are, each with its page."""

import json
import re
from pathlib import Path

import pytest
import typer
import yaml

from deploy.local import prometheus
from deploy.monitoring.__main__ import HERE, alerts_yaml
from deploy.monitoring.alerts import ALERTS, Alert
from deploy.monitoring.dashboard import dashboard_json
from deploy.monitoring.panels import ROWS
from deploy.monitoring.rules import rules, runbook_of
from deploy.monitoring.scale import IN_EARNEST, Scale
from services.cli.main import app
from shared.metric_table import TABLE
from shared.metric_types import Histogram
from shared.relay import LEASE_LOCK

ROOT = HERE.parents[1]
RUNBOOKS = ROOT / "deploy" / "runbooks"
A_MINUTE_A_SECOND = Scale(60.0)
OF_PROMETHEUS = {"up"}
NAME = re.compile(r"\b[a-z]+(?:_[a-z]+)*\b(?=[\[{ )]|$)")
WORDS = {"and", "or", "by", "sum", "rate", "max", "vector", "histogram_quantile"}
COMMAND = re.compile(r"`enroll ([a-z-]+(?: [a-z]+)?)")


def exposed() -> set[str]:
    suffixes = {
        one: ("_bucket", "_count", "_sum") if isinstance(one, Histogram) else ("",) for one in TABLE
    }
    return {one.exposed + suffix for one in TABLE for suffix in suffixes[one]}


def names_in(expression: str) -> set[str]:
    without_values = re.sub(r'"[^"]*"', "", expression)
    without_labels = re.sub(r"\{[^}]*\}|by \([^)]*\)|\[[^\]]*\]", "", without_values)
    return set(NAME.findall(without_labels)) - WORDS


def commands() -> set[str]:
    """Name the commands of `enroll`; those of a group with its name."""
    found = set()
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found |= {f"{name} {one}" for one in inner} if inner else {name}
    return found


@pytest.mark.parametrize("scale", [IN_EARNEST, A_MINUTE_A_SECOND], ids=["shipped", "drilled"])
def test_promtool_takes_the_rules(scale: Scale, tmp_path: Path) -> None:
    prometheus.fetch(print)
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump(rules(scale)))

    prometheus.check_rules(file)


def test_what_is_shipped_is_in_earnest() -> None:
    assert yaml.safe_load(alerts_yaml()) == rules(Scale(1.0))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda one: str(one.name))
def test_an_alert_is_about_metrics_that_there_are(alert: Alert) -> None:
    named = names_in(alert.expression(IN_EARNEST))

    assert named
    assert named <= exposed() | OF_PROMETHEUS


@pytest.mark.parametrize(
    "expression", [one.expression for row in ROWS for panel in row.panels for one in panel.series]
)
def test_a_panel_is_about_metrics_that_there_are(expression: str) -> None:
    named = names_in(expression)

    assert named
    assert named <= exposed()


def test_the_dashboard_draws_each_panel() -> None:
    titles = [one["title"] for one in json.loads(dashboard_json())["panels"]]

    assert titles == [
        title for row in ROWS for title in (row.title, *(panel.title for panel in row.panels))
    ]


def test_each_alert_has_its_page_and_no_page_is_left_of_one_that_is_gone() -> None:
    pages = {str(page.relative_to(ROOT)): page for page in RUNBOOKS.glob("*.md")}

    assert {runbook_of(alert) for alert in ALERTS} <= pages.keys()
    for alert in ALERTS:
        assert pages[runbook_of(alert)].read_text().startswith(f"# {alert.name}\n")


def test_the_page_about_the_relay_names_its_lock() -> None:
    assert f"objid = {LEASE_LOCK} " in (RUNBOOKS / "nobody-relays.md").read_text()


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda one: str(one.name))
def test_a_page_names_commands_and_pages_that_there_are(page: Path) -> None:
    text = page.read_text()
    known = commands()

    for named in COMMAND.findall(text):
        assert named in known or named.partition(" ")[0] in known, named
    for link in re.findall(r"\]\(([^)]+\.md)\)", text):
        assert (page.parent / link).is_file(), link
