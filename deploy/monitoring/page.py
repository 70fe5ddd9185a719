"""Writes the page about the metrics and alerts, from their tables."""

from collections.abc import Iterable, Sequence
from typing import Final

from deploy.monitoring.alerts import ALERTS
from deploy.monitoring.rules import runbook_of
from deploy.monitoring.scale import IN_EARNEST
from shared.metric_table import ALL, TABLE
from shared.metric_types import OTHER, Counter, Gauge, Histogram, Label, Metric

HEAD: Final = f"""\
# Metrics and alerts

Written by `make monitoring` from `shared/metric_table.py` and `deploy/monitoring/alerts.py`; tests
hold them to each other, and to what real processes show.

Each process shows its own at `/metrics`, on its admin port (`ADMIN_PORT`; `enroll status` shows it)
and, of the ingress, on its HTTP port as well. `target_info` names the service and the instance, as
OpenTelemetry does. Counters begin at 0 with the process, and move once a batch is committed: what
is rolled back counts nowhere. A gauge that is not known, such as what waits in a database that does
not answer, is not shown. Whatever a label may bear beyond the values below is `{OTHER}`.

[alerts.yml](alerts.yml) are rules for Prometheus, and [dashboard.json](dashboard.json) is a
dashboard for Grafana. Both need `job` to name the service: scrape the processes of each under its
name (`enrollment`, `student`, `capacity`, `ingress`).
"""


def page() -> str:
    """Write the whole page."""
    sections = [
        HEAD,
        f"## Alerts\n\n{_alerts()}",
        f"## In every process\n\n{_table(one for one in TABLE if one.processes == ALL)}",
        f"## In some\n\n{_table(one for one in TABLE if one.processes != ALL)}",
        f"## Labels\n\n{_labels()}",
        f"## Boundaries of histograms\n\n{_boundaries()}",
    ]
    return "\n".join(sections)


def _rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _alerts() -> str:
    rows = (
        (
            f"[{one.name}](../../{runbook_of(one)})",
            one.severity.value,
            IN_EARNEST.wait(one.wait_seconds),
            f"`{one.expression(IN_EARNEST)}`",
        )
        for one in ALERTS
    )
    return _rows(("alert", "severity", "after", "where"), rows)


def _table(metrics: Iterable[Metric]) -> str:
    rows = (_row(one) for one in metrics)
    return _rows(("metric", "kind", "unit", "labels", "where", "meaning"), rows)


def _row(one: Metric) -> Sequence[str]:
    where = "all" if one.processes == ALL else ", ".join(one.processes)
    labels = ", ".join(f"`{label.name}`" for label in one.labels)
    return f"`{one.exposed}`", _kind(one), _unit(one), labels, where, one.description


def _kind(one: Metric) -> str:
    match one:
        case Counter():
            return "counter"
        case Gauge():
            return "gauge"
        case Histogram():
            return "histogram"
        case _:
            raise AssertionError(one)


def _unit(one: Metric) -> str:
    return "seconds" if one.unit == "s" else one.unit.strip("{}")


def _labels() -> str:
    uses: dict[Label, list[str]] = {}
    for one in TABLE:
        for label in one.labels:
            uses.setdefault(label, []).append(f"`{one.exposed}`")
    rows = (
        (f"`{label.name}`", ", ".join(names), label.bound, _known(label))
        for label, names in uses.items()
    )
    return _rows(("label", "of", "bounded by", "values"), rows)


def _known(label: Label) -> str:
    return ", ".join(f"`{value}`" for value in label.known) or "those"


def _boundaries() -> str:
    rows = (
        (f"`{one.exposed}`", ", ".join(f"{number:g}" for number in one.boundaries))
        for one in TABLE
        if isinstance(one, Histogram)
    )
    return _rows(("metric", "at most"), rows)
