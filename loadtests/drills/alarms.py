"""A Prometheus that has the alerts in haste and watches a stack, and what it says of them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from urllib.request import urlopen

from deploy.local import ports, processes, prometheus, state
from deploy.local.errors import with_log
from deploy.local.state import ServicePlan
from deploy.monitoring.rules import rules
from deploy.monitoring.scale import Scale

HASTE: Final = Scale(60.0)  # what takes an hour is to be seen within a minute
INTERVAL_SECONDS: Final = 0.5
READY_SECONDS: Final = 30.0
ANSWER_SECONDS: Final = 10.0
TELLING: Final = ("breaker", "job", "pool", "reason", "topic")  # labels


@dataclass(frozen=True)
class Alarm:
    """One alert that is pending or fires now, of one set of labels."""

    name: str
    of: str  # the service, the topic or whatever it is about
    is_firing: bool
    since: float  # when it became pending, in seconds since 1970


class Alarms:
    """Asks a Prometheus."""

    def __init__(self, url: str) -> None:
        self._url = url

    def read(self) -> list[Alarm]:
        """Give what is pending or fires."""
        return [
            Alarm(
                name=one["labels"]["alertname"],
                of=", ".join(_told(one["labels"])),
                is_firing=one["state"] == "firing",
                since=datetime.fromisoformat(one["activeAt"]).timestamp(),
            )
            for one in self._get("alerts")["alerts"]
        ]

    def was_pending(self, name: str, seconds: float) -> bool:
        """Tell whether an alert was pending at some time of the last seconds."""
        series = f'ALERTS{{alertname="{name}",alertstate="pending"}}'
        asked = f"count(last_over_time({series}[{ceil(seconds)}s]))"
        return bool(self._get(f"query?query={quote(asked)}")["result"])

    def _get(self, path: str) -> Any:
        with urlopen(f"{self._url}/api/v1/{path}", timeout=ANSWER_SECONDS) as answer:  # noqa: S310
            return json.load(answer)["data"]


def _told(labels: Mapping[str, str]) -> list[str]:
    return [value for name, value in sorted(labels.items()) if name in TELLING]


@contextmanager
def watching(state_dir: Path, plans: Sequence[ServicePlan]) -> Iterator[Alarms]:
    """Run a Prometheus that watches these processes, until the end of the block."""
    directory = state_dir / prometheus.NAME
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "alerts.json"
    file.write_text(json.dumps(rules(HASTE)))
    prometheus.check_rules(file)
    [port] = ports.keep_or_choose([prometheus.NAME], {}).values()
    targets = _targets(plans, state.load(state_dir).ports)
    spec = prometheus.specify(directory, port, targets, file, INTERVAL_SECONDS)
    child = processes.Child(spec)
    try:
        if not processes.wait_until(spec.is_ready, READY_SECONDS):
            raise with_log("Prometheus does not get ready.", spec.log)
        yield Alarms(spec.url)
    finally:
        processes.stop([child])


def _targets(
    plans: Sequence[ServicePlan], port_of: Mapping[str, int]
) -> Mapping[str, Sequence[str]]:
    targets: dict[str, list[str]] = {}
    for plan in plans:
        targets.setdefault(plan.service, []).append(f"{ports.LOOPBACK}:{port_of[plan.name]}")
    return targets
