"""The alerts as Prometheus reads them."""

import re
from typing import Any, Final

from deploy.monitoring.alerts import ALERTS, Alert
from deploy.monitoring.scale import IN_EARNEST, Scale

GROUP: Final = "enrollment"
RUNBOOKS: Final = "deploy/runbooks"
_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")


def rules(scale: Scale = IN_EARNEST) -> dict[str, Any]:
    """Give the file of rules, of which a drill asks for a quicker one."""
    return {"groups": [{"name": GROUP, "rules": [_rule(alert, scale) for alert in ALERTS]}]}


def _rule(alert: Alert, scale: Scale) -> dict[str, Any]:
    rule: dict[str, Any] = {"alert": alert.name, "expr": alert.expression(scale)}
    if alert.wait_seconds:
        rule["for"] = scale.wait(alert.wait_seconds)
    rule["labels"] = {"severity": alert.severity.value}
    rule["annotations"] = {"summary": alert.says, "runbook": runbook_of(alert)}
    return rule


def runbook_of(alert: Alert) -> str:
    """Name the page that says what to do, from the project's root."""
    return f"{RUNBOOKS}/{_WORD.sub('-', alert.name).lower()}.md"
