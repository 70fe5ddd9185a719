"""A short overload of a real stack: what it carries is measured by the command, not here."""

from pathlib import Path

import pytest

from deploy.local import stack, state
from deploy.local.errors import StackError
from deploy.local.servers import VARIABLES
from loadtests.overload.playing import Wishes
from loadtests.overload.report import overload_lines
from loadtests.overload.running import run_overload

# So much that even a fast machine has to refuse, of a system that lets little wait.
SHORT = Wishes(
    first_rate=300.0,
    step_factor=2.0,
    step_seconds=1.5,
    steps_max=4,
    warm_up_seconds=2.0,
    overload_factor=3.0,
    overload_seconds=3.0,
    students=300,
    sections=10,
    quick_start=True,
)


@pytest.fixture(autouse=True)
def _own_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.long
@pytest.mark.timeout(240)
def test_what_is_too_much_is_refused_in_order_and_nothing_that_was_accepted_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHED_AGE_SECONDS", "1")
    monkeypatch.setenv("KAFKA_CIRCUIT_RECOVERY_TIMEOUT", "1")  # a busy machine's broker may pause
    try:
        report = run_overload(tmp_path, SHORT, print)
    finally:
        stack.down(tmp_path, wipe=True)

    overload, lines = report.played.overload, "\n".join(overload_lines(report))
    assert list(report.violations) == [], lines
    assert overload.lost == 0, lines
    assert not overload.others, lines
    assert report.played.without_retry_after == 0, lines
    assert overload.drained_seconds is not None, lines
    assert overload.goodput > 0, lines
    assert report.played.reference.goodput > 0, lines
    assert report.played.ballast.answered == report.played.ballast.sent > 0, lines
    assert overload.accepted + sum(overload.refused.values()) == overload.offered
    assert report.played.memory_mb["most"] < report.played.memory_mb["before"] + 100, lines


def test_a_stack_of_others_is_not_wiped(tmp_path: Path) -> None:
    state.save(tmp_path, state.State())

    with pytest.raises(StackError, match="would be wiped"):
        run_overload(tmp_path, SHORT, print)

    assert state.state_file(tmp_path).exists()
