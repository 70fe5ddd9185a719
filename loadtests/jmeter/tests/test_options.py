import pytest

from loadtests.jmeter.options import OptionsError, read_options
from loadtests.jmeter.running import rush_seats
from loadtests.jmeter.targets import Targets


def test_all_is_every_plan_but_soak() -> None:
    names = [plan.name for plan in read_options(["all"], {}).plans]

    assert names == ["inscription", "concurrency", "idempotency", "health", "stress", "kafka"]


def test_several_plans_are_played_once_each_in_a_fixed_order() -> None:
    options = read_options(["soak", "health", "inscription", "health"], {})

    assert [plan.name for plan in options.plans] == ["inscription", "health", "soak"]


def test_without_options_plans_have_their_own_defaults_and_targets_the_usual() -> None:
    options = read_options(["all"], {})

    assert (options.host, options.data, dict(options.properties)) == (None, None, {})
    assert options.targets == Targets(100, 1, 2, 1, 99.9)


def test_options_win_over_the_environment() -> None:
    environment = {"THREADS": "7", "RAMPUP": "3", "P95_SECONDS": "0.5", "HOST": "10.0.0.7:8080"}

    options = read_options(["health", "--threads", "9", "-J", "think_ms=5"], environment)

    assert options.properties == {"threads": "9", "rampup": "3", "think_ms": "5"}
    assert options.targets.p95_seconds_max == 0.5
    assert options.host == "http://10.0.0.7:8080"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["health", "--host", "ftp://x"], "write an address such as"),
        (["health", "--host", "http://"], "write an address such as"),
        (["health", "--host", "http://x:99999"], "write an address such as"),
        (["health", "--p95-seconds", "fast"], "write a number"),
        (["health", "--per-second", "-1"], "write a number"),
        (["health", "--warm-up", "nan"], "write a number"),
        (["health", "--threads", "0"], "write a whole number from 1"),
        (["health", "--rampup", "1.5"], "write a whole number from 1"),
        (["health", "-J", "think_ms"], "write -J NAME=VALUE"),
    ],
)
def test_a_bad_option_is_refused_with_what_to_write(arguments: list[str], said: str) -> None:
    with pytest.raises(OptionsError, match=said):
        read_options(arguments, {})


@pytest.mark.parametrize("arguments", [[], ["everything"], ["health", "--unknown"]])
def test_a_wrong_call_ends_with_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        read_options(arguments, {})

    assert ended.value.code == 2
    assert "usage: run_tests" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("properties", "seats"),
    [
        ({}, 25),
        ({"threads": "10", "loops": "2"}, 1),
        ({"threads": "100"}, 50),
        ({"loops": "x"}, 25),
    ],
)
def test_seats_of_the_rush_are_fewer_than_those_who_ask(
    properties: dict[str, str], seats: int
) -> None:
    assert rush_seats(properties) == seats
