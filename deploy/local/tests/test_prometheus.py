import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.request import urlopen

import pytest

from deploy.local import ports, processes, prometheus
from deploy.local.errors import StackError
from deploy.local.tests.conftest import wait_until

RULE: Mapping[str, object] = {
    "alert": "Away",
    "expr": "up == 0",
    "for": "1s",
    "labels": {"severity": "page"},
}


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    prometheus.fetch(print)


def rules_file(directory: Path, rule: Mapping[str, object]) -> Path:
    file = directory / "rules.json"
    file.write_text(json.dumps({"groups": [{"name": "test", "rules": [dict(rule)]}]}))
    return file


@pytest.fixture
def running(tmp_path: Path) -> Iterator[processes.ProcessSpec]:
    rules = rules_file(tmp_path, RULE)
    port, nobody = ports.keep_or_choose(["prometheus", "nobody"], {}).values()
    targets = {"student": [f"{ports.LOOPBACK}:{nobody}"]}
    spec = prometheus.specify(tmp_path, port, targets, rules, 0.5)
    child = processes.Child(spec)
    yield spec
    processes.stop([child])


def test_rules_that_are_right_are_taken(tmp_path: Path) -> None:
    prometheus.check_rules(rules_file(tmp_path, RULE))


def test_a_wrong_rule_is_refused_with_what_is_wrong(tmp_path: Path) -> None:
    wrong = rules_file(tmp_path, {**RULE, "expr": "sum(up"})

    with pytest.raises(StackError, match=r"(?s)refuses rules\.json: .*unclosed left parenthesis"):
        prometheus.check_rules(wrong)


def test_an_alert_about_a_process_that_is_away_fires(running: processes.ProcessSpec) -> None:
    def fires() -> bool:
        if not running.is_ready():
            return False
        with urlopen(f"{running.url}/api/v1/alerts") as answer:
            alerts = json.load(answer)["data"]["alerts"]
        return bool(alerts) and alerts[0]["state"] == "firing"

    wait_until(fires)
