"""The explorer: the smallest worlds are explored to the end, and keep every promise."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from services.simulation.explorer import running
from services.simulation.explorer.configuration import Fault
from services.simulation.explorer.configurations import all_configurations, named
from services.simulation.explorer.quick import first_violation, small_configurations
from services.simulation.explorer.search import Found, explore

ROOT = Path(__file__).parents[3]
SECONDS_MAX = 60.0
ONE_SEAT = "two students, one seat; none; partitions"
BATCHES = (1, 2, 4)


@pytest.fixture(autouse=True)
def _calm() -> Iterator[None]:
    """What a fault brings about is no news."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["explore", *arguments], prog_name="enroll")


# What there is to see


@pytest.mark.parametrize(
    ("name", "states", "transitions", "rests"),
    [
        ("two students, one seat; none; partitions", 146, 268, 2),  # who gets the seat
        ("two students, one seat; none; one partition", 121, 206, 2),
        ("one student, one time; none; one partition", 143, 264, 2),
        ("deadline races cancel; none; one partition", 238, 588, 5),
        ("two students, one seat; poison; one partition", 355, 738, 4),
    ],
)
def test_a_small_world_is_seen_to_its_end(
    name: str, states: int, transitions: int, rests: int
) -> None:
    found = explore(named(name), SECONDS_MAX)

    assert (found.violation, found.is_complete) == ("", True)
    assert (found.states, found.transitions, found.rests) == (states, transitions, rests)


def test_the_same_configuration_gives_the_same_counts_in_every_process() -> None:
    say = (
        "from services.simulation.explorer.configurations import named\n"
        "from services.simulation.explorer.search import explore\n"
        "found = explore(named('deadline races cancel; crash; one partition'), 60.0)\n"
        "print(found.states, found.transitions, found.depth, found.rests, found.is_complete)"
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

    [counts] = said
    assert counts.endswith("True\n")
    assert int(counts.split()[0]) > 2000


def test_every_world_is_explored_with_every_fault_that_it_is_small_enough_for() -> None:
    configurations = all_configurations()

    names = [one.name for one in configurations]
    assert len(names) == len(set(names)) > 200
    worlds = {one.name.partition(";")[0]: one.is_small for one in configurations}
    for world, is_small in worlds.items():
        faults = {one.fault for one in configurations if one.name.startswith(f"{world};")}
        assert faults == (set(Fault) if is_small else set(Fault) - {Fault.REPLAYS})


def test_the_bugs_runner_explores_every_kind_of_fault_and_finds_nothing_wrong() -> None:
    configurations = [
        one for one in small_configurations() if one.name.startswith("deadline races cancel")
    ]

    assert {one.fault for one in configurations} == set(Fault)
    assert first_violation(configurations, SECONDS_MAX) is None


# What is left out


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.CRASH])
def test_larger_batches_lead_nowhere_new(fault: Fault) -> None:
    world = named(f"deadline races cancel; {fault}; one partition")

    found = [explore(replace(world, batch_max=count), SECONDS_MAX) for count in BATCHES]

    assert all(one.is_complete for one in found)
    assert len({(one.states, one.rests) for one in found}) == 1


@pytest.mark.parametrize("fault", Fault)
def test_nothing_is_wrong_where_nothing_is_left_out(fault: Fault) -> None:
    world = named(f"deadline races cancel; {fault}; one partition")
    everything = replace(world, batch_max=4, is_reduced=False)

    reduced, found = explore(world, SECONDS_MAX), explore(everything, SECONDS_MAX)

    assert (found.is_complete, found.violation) == (True, "")
    assert found.transitions > reduced.transitions
    assert (found.states >= reduced.states, found.rests) == (True, reduced.rests)


def test_numbers_that_are_kept_tell_states_apart_that_are_as_good_as_one() -> None:
    world = named(ONE_SEAT)

    reduced, found = (
        explore(replace(world, is_reduced=is_reduced), SECONDS_MAX) for is_reduced in (True, False)
    )

    assert (found.is_complete, found.violation) == (True, "")
    assert (found.states, found.rests) > (2 * reduced.states, 2 * reduced.rests)


# The command


def test_the_command_gives_what_it_found_as_json() -> None:
    result = run("--only", ONE_SEAT, "--json")

    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert [one["name"] for one in said["configurations"]] == [ONE_SEAT]
    assert (said["states"], said["transitions"], said["is_complete"]) == (146, 268, True)


def test_what_is_not_seen_to_its_end_is_not_fine() -> None:
    result = run("--only", "credits 3 to 5; discard; partitions", "--minutes", "0.01", "--json")

    assert result.exit_code == 1, result.output
    said = json.loads(result.stdout)
    assert (said["violations"], said["is_complete"]) == (0, False)


def test_a_violation_is_told_as_a_story_and_is_not_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = "1: section A is oversold"
    story = (
        "S1 asks for A",
        "capacity handles it\ncapacity: says SeatReserved",
        f"violates {wrong}",
    )
    found = Found(ONE_SEAT, 5, 4, 2, 1, 0.1, is_complete=False, violation=wrong, story=story)
    monkeypatch.setattr(running, "explore_all", lambda *_, **__: [found])

    result = run("--only", ONE_SEAT)

    assert result.exit_code == 1
    assert "  2. capacity handles it\n       capacity: says SeatReserved\n" in result.stdout
    assert f"violates {wrong}" in result.stdout
    assert "1 with violations" in result.stdout


def test_a_name_that_no_configuration_has_is_an_error() -> None:
    result = run("--only", "three students")

    assert result.exit_code == 2
    assert "leave --only out" in result.stderr
