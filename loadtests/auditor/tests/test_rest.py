from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from loadtests.auditor import rest
from loadtests.auditor.rest import Lag, Motion, wait_for_rest
from loadtests.auditor.topics import Extent

QUIET = Motion({("a", 0): Extent(0, 7)}, {}, {"student": 0}, (), 0, 0)
BUSY = replace(QUIET, outboxes={"student": 3}, lags=(Lag("capacity", "b", 2, 5),), pending=4)


class Measurements:
    """What is measured, one after the other; the last one for ever."""

    def __init__(self, *motions: Motion) -> None:
        self._motions: Iterator[Motion] = iter(motions)
        self._last = motions[-1]
        self.count = 0

    async def measure(self, _topics: Any, _connections: Any) -> Motion:
        self.count += 1
        return next(self._motions, self._last)


async def wait(
    monkeypatch: pytest.MonkeyPatch, measurements: Measurements, rest_seconds: float
) -> tuple[tuple[str, ...], list[str]]:
    said: list[str] = []
    monkeypatch.setattr(rest, "measure", measurements.measure)
    monkeypatch.setattr(rest, "POLL_SECONDS", 0)
    nowhere: Any = None
    _, moving = await wait_for_rest(
        nowhere, nowhere, rest_seconds=rest_seconds, on_progress=said.append
    )
    return moving, said


async def test_two_equal_quiet_measurements_are_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    measurements = Measurements(BUSY, QUIET, QUIET)
    moving, said = await wait(monkeypatch, measurements, 60)
    assert (moving, measurements.count) == ((), 3)
    assert said == [
        (
            "waiting for rest: outbox of student: 3 rows; consumer of capacity: 5 behind on b/2; "
            "enrollments: 4 pending, 0 past their deadline"
        )
    ]


async def test_a_quiet_system_is_at_rest_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    moving, _ = await wait(monkeypatch, Measurements(QUIET), 0)
    assert moving == ()


async def test_when_time_is_up_it_says_what_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    moving, _ = await wait(monkeypatch, Measurements(BUSY), 0)
    assert moving == (
        "outbox of student: 3 rows",
        "consumer of capacity: 5 behind on b/2",
        "enrollments: 4 pending, 0 past their deadline",
    )


async def test_quiet_measurements_that_differ_are_no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    later = replace(QUIET, extents={("a", 0): Extent(0, 8)})
    moving, _ = await wait(monkeypatch, Measurements(QUIET, later), 0)
    assert moving == ("messages still come: the ends of the topics move",)
