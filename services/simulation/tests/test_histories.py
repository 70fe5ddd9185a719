"""The simulator: its histories keep every promise, are the same each time, and reach every rule."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.simulation.generator import new_plan
from services.simulation.history import run_plan, run_seed
from services.simulation.narrative import Narrative
from services.simulation.plan import Ambush, Fault, Poison, Publish, Strike
from services.simulation.running import run_all

ROOT = Path(__file__).parents[3]
SEEDS = 200
SAGAS_A_SEED = 20


@pytest.fixture(autouse=True)
def _calm() -> Iterator[None]:
    """What a simulated fault brings about is no news."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_histories_keep_every_promise() -> None:
    progress, _ = run_all(0, SEEDS, seconds_max=300, processes=2, on_progress=lambda _: None)

    assert progress.failed == []
    assert progress.seeds == SEEDS
    assert progress.sagas >= SEEDS * SAGAS_A_SEED


def test_a_seed_gives_the_same_history_in_every_process() -> None:
    say = (
        "import logging; logging.disable(50)\n"
        "from services.simulation.history import run_seed\n"
        "print([run_seed(seed).digest.hex() for seed in range(5)])"
    )

    said = {
        subprocess.run(
            [sys.executable, "-c", say],
            env={"PYTHONHASHSEED": hash_seed},
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    }

    assert said == {f"{[run_seed(seed).digest.hex() for seed in range(5)]}\n"}


def test_how_many_processes_run_the_seeds_makes_no_difference() -> None:
    digests = {
        run_all(0, 90, seconds_max=300, processes=processes, on_progress=lambda _: None)[1]
        for processes in (1, 2)
    }

    assert len(digests) == 1


def test_to_tell_a_history_does_not_change_it() -> None:
    plan, narrative = new_plan(3), Narrative()

    told = run_plan(plan, narrative)

    assert told.digest == run_seed(3).digest
    assert "EnrollmentOpened" in narrative.text()


def test_a_seed_that_the_simulation_fails_on_is_told_like_one_that_breaks_a_promise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_world: object) -> list[str]:
        raise KeyError("ce_subject")

    monkeypatch.setattr("services.simulation.history.judge_settled", fail)

    (violation,) = run_seed(3).violations

    assert violation.startswith("0: the simulation fails: KeyError('ce_subject')")


def test_the_plans_bring_every_kind_of_step_and_fault() -> None:
    steps = [step for seed in range(300) for step in new_plan(seed).steps]

    assert {type(step) for step in steps} == {Publish, Strike, Ambush, Poison}
    faults = {step.fault for step in steps if isinstance(step, Strike | Ambush)}
    assert faults == set(Fault)


def test_a_few_histories_reach_all_but_a_few_of_the_rules() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.simulation.covering", "--seeds", "60"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    *left_out, summary = done.stdout.splitlines()
    assert summary == f"60 seeds leave out {len(left_out)} lines and branches of the rules"
    assert len(left_out) <= 12, done.stdout + done.stderr
