"""What alerts say of numbers that a Prometheus has seen, by promtool's own test of rules."""

import json
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.local import prometheus
from deploy.monitoring.alerts import ALERTS
from deploy.monitoring.rules import rules

MINUTES = 10
NAMES = {alert.name for alert in ALERTS}
STANDS_STILL = "ReadingStandsStill"


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    prometheus.fetch(print)


def are_silent(directory: Path, alerts: Collection[str], series: Mapping[str, str]) -> bool:
    """Tell whether none of these fires after ten minutes of these numbers, a minute apart."""
    (directory / "alerts.json").write_text(json.dumps(rules()))
    test: dict[str, Any] = {
        "rule_files": ["alerts.json"],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": of} for name, of in series.items()],
                "alert_rule_test": [
                    {"eval_time": f"{MINUTES}m", "alertname": alert} for alert in alerts
                ],
            }
        ],
    }
    file = directory / "test.json"
    file.write_text(json.dumps(test))
    done = subprocess.run(
        [str(prometheus.tool(prometheus.CHECKER)), "test", "rules", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 or "got:[" in done.stderr, done.stderr
    return done.returncode == 0


def series_of(job: str, *, batches: str) -> dict[str, str]:
    """Have a service lag behind, read nothing that it reacts to, and commit so many batches."""
    return {
        f'consumer_lag{{job="{job}",topic="t",partition="0"}}': f"1x{MINUTES}",
        f'messages_read_total{{job="{job}"}}': f"7x{MINUTES}",
        f'batch_duration_seconds_count{{job="{job}"}}': batches,
    }


def test_who_lags_behind_and_commits_nothing_stands_still(tmp_path: Path) -> None:
    series = series_of("capacity", batches=f"5x{MINUTES}")

    assert not are_silent(tmp_path, {STANDS_STILL}, series)
    assert are_silent(tmp_path, NAMES - {STANDS_STILL}, series)


def test_who_moves_over_what_does_not_matter_to_it_does_not_stand_still(tmp_path: Path) -> None:
    assert are_silent(tmp_path, NAMES, series_of("capacity", batches=f"0+50x{MINUTES}"))
