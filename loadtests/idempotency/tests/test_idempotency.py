"""Some hundred requests on real processes, while Redis fails."""

from pathlib import Path

import pytest

from deploy.local import stack
from deploy.local.servers import VARIABLES
from loadtests.chaos.plan import Kind
from loadtests.idempotency.faults import ROUND, plan_faults
from loadtests.idempotency.report import idempotency_lines
from loadtests.idempotency.running import Wishes, plan, run_idempotency

LINKS = ["ingress>redis", "ingress-2>redis"]


def _say_nothing(_: str) -> None:
    """Nobody looks on."""


def test_faults_of_every_kind_strike_redis_and_what_leads_to_it() -> None:
    faults = plan_faults(7, 100.0, 1.0, LINKS)

    assert plan_faults(7, 100.0, 1.0, LINKS) == faults
    assert {fault.kind for fault in faults} == set(ROUND)
    assert {fault.target for fault in faults} == {"redis", *LINKS}
    assert len(faults) == 100
    assert all(0 <= fault.at_seconds <= 100 for fault in faults)


def test_three_requests_of_ten_are_repeated_in_each_of_three_ways() -> None:
    _, asks = plan(Wishes(seed=7, requests=2000, requests_per_second=100.0))
    first_at = {one.request: one.at_seconds for one in reversed(asks)}
    again = len(asks) - 2000
    later = sum(one.at_seconds > first_at[one.request] for one in asks)
    hung_up = sum(one.hangs_up_after is not None for one in asks)

    assert len({one.key for one in asks}) == 2000
    assert {one.key is None for one in asks} == {False}
    assert all(150 < count < 250 for count in (later, again - later, hung_up))


@pytest.mark.long
@pytest.mark.timeout(180)
def test_hundreds_of_requests_are_each_decided_once_while_redis_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("REDIS_CIRCUIT_RECOVERY_TIMEOUT", "0.5")
    try:
        report = run_idempotency(
            tmp_path, Wishes(5, 600, 60.0, fault_spacing_seconds=1.0), _say_nothing
        )
    finally:
        stack.down(tmp_path, wipe=True)

    assert list(report.violations) == []
    assert report.is_fine, idempotency_lines(report)
    assert report.rows == 600
    assert {Kind.FLUSH, Kind.KILL, Kind.STOP} <= {Kind(name) for name in report.faults}
    assert report.http.available_at_last == 1.0
