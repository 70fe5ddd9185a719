"""Samples for tests, with what matters in each."""

from typing import Any

from loadtests.jmeter.jtl import Sample


def sample(**given: Any) -> Sample:
    usual: dict[str, Any] = {
        "began_ms": 0,
        "elapsed_ms": 50,
        "label": "POST /enrollments",
        "code": "200",
        "group": "Students",
        "is_good": True,
        "failure": "",
        "message": "OK",
        "threads": 1,
    }
    return Sample(**(usual | given))


def steady(count: int, per_second: float, **given: Any) -> list[Sample]:
    """Samples that begin one after the other at a rate."""
    return [sample(began_ms=int(1000 * n / per_second), **given) for n in range(count)]
