"""A breaker that nobody calls through any more, and what it guards, which comes back."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest

from services.enrollment.ingress import probing
from services.enrollment.ingress.probing import Probe, probe_for_ever
from shared.breaker import Breaker, BreakerPolicy, BreakerState
from shared.tests.machinery import eventually

POLICY = BreakerPolicy(failure_threshold=1, recovery_seconds=0.2, success_threshold=2)


class Dependency:
    """What a breaker guards."""

    def __init__(self, name: str = "thing") -> None:
        self.is_up, self.calls = False, 0
        self.breaker = Breaker(name, POLICY, timeout_seconds=1)
        self.probe = Probe(self.breaker, partial(self.breaker.call_async, self.answer))

    async def answer(self) -> None:
        self.calls += 1
        if not self.is_up:
            raise ConnectionError("down")

    @property
    def state(self) -> BreakerState:
        return self.breaker.snapshot().state


@asynccontextmanager
async def probing_of(probes: Sequence[Probe]) -> AsyncIterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probing, "PROBE_SECONDS", 0.02)
        task = asyncio.create_task(probe_for_ever(probes))
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_what_is_back_is_noticed_although_nobody_calls() -> None:
    thing = Dependency()
    thing.breaker.open()
    thing.is_up = True

    async with probing_of([thing.probe]):
        seconds = await eventually(lambda: thing.state is BreakerState.CLOSED, 3)

    assert seconds >= POLICY.recovery_seconds * 0.9
    assert thing.calls == POLICY.success_threshold


async def test_what_is_still_down_is_tried_once_each_recovery_time_and_stays_open() -> None:
    thing = Dependency()
    thing.breaker.open()

    async with probing_of([thing.probe]):
        await asyncio.sleep(1.0)

    assert thing.state is BreakerState.OPEN
    assert 3 <= thing.calls <= 5


async def test_what_is_well_is_left_alone() -> None:
    thing = Dependency()
    thing.is_up = True

    async with probing_of([thing.probe]):
        await asyncio.sleep(0.2)

    assert thing.calls == 0


async def test_one_that_hangs_does_not_end_the_probing_of_others() -> None:
    quick = Dependency("quick")
    quick.is_up = True

    async def hang() -> None:
        await asyncio.sleep(60)

    hanging = Breaker("slow", POLICY, timeout_seconds=0.3)
    for breaker in (hanging, quick.breaker):
        breaker.open()
    async with probing_of([Probe(hanging, partial(hanging.call_async, hang)), quick.probe]):
        await eventually(lambda: quick.state is BreakerState.CLOSED, 5)

    assert hanging.snapshot().state is not BreakerState.CLOSED
