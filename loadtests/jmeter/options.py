"""What run_tests is asked for: by options, else by environment variables, else the usual."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from loadtests.jmeter.plans import ALL, PLANS, Plan, chosen
from loadtests.jmeter.targets import Targets

ENVIRONMENT: Final = """
Each option has an environment variable of its name in capitals (HOST, THREADS, P95_SECONDS, …).
Exit code 0: all targets are met; 1: one is missed; 2: it could not be played.
"""
NUMBERS: Final = ("threads", "rampup", "loops", "rate", "duration")
PRIVATE_KEY: Final = "private_key"


class OptionsError(Exception):
    """It was called wrongly; the text says how to call it."""


@dataclass(frozen=True)
class Options:
    """What is to be played, where, and what it must reach."""

    plans: Sequence[Plan]
    host: str | None
    data: Path | None
    private_key: Path | None
    jmeter_home: Path | None
    results: Path
    warm_up_seconds: float
    has_audit: bool
    judged: Path | None
    properties: Mapping[str, str]
    targets: Targets


def read_options(arguments: Sequence[str], environment: Mapping[str, str]) -> Options:
    """Read them; raises OptionsError where one is bad."""
    given = vars(_parser(environment).parse_args(arguments))
    numbers = {name: given[name] for name in NUMBERS if given[name] is not None}
    properties = {name: _whole(name, text) for name, text in numbers.items()}
    if given["schedule"] is not None:
        properties["schedule"] = given["schedule"]
    properties |= dict(_property(text) for text in given["J"])
    return Options(
        plans=chosen(given["plans"]),
        host=_address(given["host"]),
        data=_path(given["data"]),
        private_key=_path(given[PRIVATE_KEY]),
        jmeter_home=_path(given["jmeter_home"]),
        results=Path(given["results"]),
        warm_up_seconds=_number("warm-up", given["warm_up"]),
        has_audit=not given["no_audit"],
        judged=_path(given["judge"]),
        properties=properties,
        targets=Targets(
            per_second_min=_number("per-second", given["per_second"]),
            p95_seconds_max=_number("p95-seconds", given["p95_seconds"]),
            p99_seconds_max=_number("p99-seconds", given["p99_seconds"]),
            error_percent_max=_number("error-percent", given["error_percent"]),
            available_percent_min=_number("available-percent", given["available_percent"]),
        ),
    )


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_tests",
        description="Play JMeter's plans against the enrollment system, and judge what they show.",
        epilog=ENVIRONMENT,
    )
    add = _adding(parser, environment)
    parser.add_argument(
        "plans", nargs="+", choices=[ALL, *PLANS], metavar="PLAN", help=f"{ALL}, {', '.join(PLANS)}"
    )
    add("host", None, "the ingress, such as http://10.0.0.7:8080; else a stack is started here")
    add("data", None, "a folder with the plans' CSV files; else they are made")
    add("private-key", None, "with --host: the PEM file of the issuer's key, to make tokens")
    add("jmeter-home", None, "the home of your own JMeter 5.6; else one is built")
    add("results", Path(__file__).parent / "results", "where reports go")
    add("judge", None, "play nothing: judge this .jtl file of the plan that is named")
    add("threads", None, "users at the same time (50)")
    add("rampup", None, "seconds until all have begun (30)")
    add("loops", None, "how often each does it all (10)")
    add("rate", None, "soak: enrollments a second (40)")
    add("duration", None, "soak: seconds (3600)")
    add("schedule", None, 'kafka: requests a second, such as "100 for 30, 0..300 for 60"')
    add("warm-up", 20, "seconds of load before the first plan, which are not judged; 0: none")
    usual = Targets()
    add("per-second", usual.per_second_min, "target: at least so many a second")
    add("p95-seconds", usual.p95_seconds_max, "target: 95 of 100 are quicker")
    add("p99-seconds", usual.p99_seconds_max, "target: 99 of 100 are quicker")
    add("error-percent", usual.error_percent_max, "target: fewer errors")
    add("available-percent", usual.available_percent_min, "target: more is answered")
    parser.add_argument("--no-audit", action="store_true", help="with --host: judge no tables")
    parser.add_argument(
        "-J", action="append", default=[], metavar="NAME=VALUE", help="any property of the plans"
    )
    return parser


def _adding(
    parser: argparse.ArgumentParser, environment: Mapping[str, str]
) -> Callable[[str, Any, str], None]:
    def add(name: str, usual: Any, meaning: str) -> None:
        variable = name.replace("-", "_").upper()
        shown = "" if usual is None else f" ({usual})"
        default = environment.get(variable) or (None if usual is None else str(usual))
        parser.add_argument(f"--{name}", default=default, help=f"{meaning}{shown}")

    return add


def _property(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise OptionsError(f"-J{text}: write -J NAME=VALUE, such as -J think_ms=100")
    return name, value


def _address(text: str | None) -> str | None:
    if text is None:
        return None
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        raise OptionsError(f"--host {text}: write an address such as http://10.0.0.7:8080")
    return url.rstrip("/")


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise OptionsError(f"--{name} {text}: write a number from 0, such as 1.5")
    return number


def _whole(name: str, text: str) -> str:
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise OptionsError(f"--{name} {text}: write a whole number from 1")
    return text


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
