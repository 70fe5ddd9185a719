"""The explorer: the smallest worlds are explored to the end, and keep every promise."""

import json
import logging
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from services.cli.main import app
from services.simulation.explorer.configuration import Configuration
from services.simulation.explorer.configurations import all_configurations
from services.simulation.explorer.search import explore

SECONDS_MAX = 60.0


@pytest.fixture(autouse=True)
def _calm() -> Iterator[None]:
    """What a fault brings about is no news."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def named(name: str) -> Configuration:
    return next(one for one in all_configurations() if one.name == name)


def test_two_students_and_one_seat_come_to_rest_in_two_ways() -> None:
    found = explore(named("two students, one seat; none; partitions"), SECONDS_MAX)

    assert (found.violation, found.is_complete) == ("", True)
    assert (found.states, found.transitions, found.rests) == (146, 268, 2)


def test_the_same_configuration_gives_the_same_counts_again() -> None:
    one, again = (
        explore(named("two students, one seat; crash; partitions"), SECONDS_MAX) for _ in range(2)
    )

    assert one.is_complete
    assert one.states > 1000
    assert (one.states, one.transitions, one.depth, one.rests) == (
        again.states,
        again.transitions,
        again.depth,
        again.rests,
    )


def test_the_names_of_configurations_tell_them_apart() -> None:
    names = [one.name for one in all_configurations()]

    assert len(names) == len(set(names)) > 100


def test_the_command_gives_what_it_found_as_json() -> None:
    name = "two students, one seat; none; partitions"

    result = CliRunner().invoke(app, ["explore", "--only", name, "--json"], prog_name="enroll")

    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert [one["name"] for one in said["configurations"]] == [name]
    assert (said["states"], said["transitions"], said["is_complete"]) == (146, 268, True)
