"""The breaker opens, probes and closes as its policy says, whatever order calls end in."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import aiobreaker
import pytest

from shared.breaker import (
    DATABASE_POLICY,
    KAFKA_POLICY,
    Breaker,
    BreakerOpen,
    BreakerPolicy,
    BreakerState,
    every_exception,
)

POLICY = BreakerPolicy(failure_threshold=3, recovery_seconds=30, success_threshold=2)


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Outage(Exception):  # noqa: N818
    pass


class Conflict(Exception):  # noqa: N818
    pass


class Call:
    """A call under way whose end the test decides."""

    def __init__(self, breaker: Breaker) -> None:
        self._end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(breaker.call_async(self._wait))

    async def _wait(self) -> str:
        return await self._end

    async def begins(self) -> "Call":
        await asyncio.sleep(0)
        return self

    async def succeeds(self) -> None:
        self._end.set_result("done")
        await self.task

    async def fails(self) -> None:
        self._end.set_exception(Outage())
        with pytest.raises(Outage):
            await self.task


async def succeed() -> str:
    return "done"


async def fail() -> str:
    raise Outage


async def conflict() -> str:
    raise Conflict


async def hang() -> str:
    await asyncio.Event().wait()
    return "never"


def is_outage(error: BaseException) -> bool:
    return isinstance(error, Outage)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("database", POLICY, timeout_seconds=5, is_failure=is_outage, monotonic=clock)


def state_of(breaker: Breaker) -> BreakerState:
    return breaker.snapshot().state


async def fail_times(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(Outage):
            await breaker.call_async(fail)


async def trip(breaker: Breaker) -> None:
    await fail_times(breaker, breaker.policy.failure_threshold)
    assert breaker.is_open


async def trip_and_recover(breaker: Breaker, clock: Clock) -> None:
    await trip(breaker)
    clock.seconds += breaker.policy.recovery_seconds


async def test_a_closed_breaker_passes_arguments_and_results(breaker: Breaker) -> None:
    async def add(left: int, *, right: int) -> int:
        return left + right

    assert await breaker.call_async(add, 1, right=2) == 3


async def test_it_is_an_aiobreaker_circuit_breaker(breaker: Breaker) -> None:
    await trip(breaker)
    assert isinstance(breaker, aiobreaker.CircuitBreaker)
    with pytest.raises(aiobreaker.CircuitBreakerError):
        await breaker.call_async(succeed)


async def test_the_decorator_guards_a_coroutine_function_once(breaker: Breaker) -> None:
    guarded = breaker(succeed)
    assert await guarded() == "done"
    assert await breaker.call_async(guarded) == "done"
    assert breaker.snapshot().success_count == 2


def test_a_synchronous_call_is_refused_with_advice(breaker: Breaker) -> None:
    with pytest.raises(TypeError, match="call_async"):
        breaker.call(print)


async def test_it_opens_at_the_failure_threshold_and_not_before(breaker: Breaker) -> None:
    await fail_times(breaker, 2)
    assert state_of(breaker) is BreakerState.CLOSED
    await fail_times(breaker, 1)
    assert state_of(breaker) is BreakerState.OPEN


async def test_every_call_raises_its_original_error_also_the_one_that_trips(
    breaker: Breaker,
) -> None:
    original = Outage("the very one")

    async def fail_with_original() -> None:
        raise original

    await fail_times(breaker, 2)
    with pytest.raises(Outage) as caught:
        await breaker.call_async(fail_with_original)
    assert caught.value is original
    assert breaker.is_open


async def test_only_consecutive_failures_open_it(breaker: Breaker) -> None:
    await fail_times(breaker, 2)
    await breaker.call_async(succeed)
    await fail_times(breaker, 2)
    assert state_of(breaker) is BreakerState.CLOSED


async def test_an_open_breaker_refuses_without_calling(breaker: Breaker, clock: Clock) -> None:
    called = False

    async def record() -> None:
        nonlocal called
        called = True

    await trip(breaker)
    clock.seconds += 10
    with pytest.raises(BreakerOpen, match=r"database is open for 20\.0 s") as caught:
        await breaker.call_async(record)
    assert (caught.value.name, caught.value.retry_after_seconds) == ("database", 20)
    assert not called


async def test_it_is_no_longer_open_once_a_probe_may_be_tried(
    breaker: Breaker, clock: Clock
) -> None:
    await trip(breaker)
    clock.seconds += 29.9
    assert breaker.is_open
    clock.seconds += 0.1
    assert not breaker.is_open
    assert breaker.retry_after_seconds == 0


async def test_two_successes_close_it_and_one_does_not(breaker: Breaker, clock: Clock) -> None:
    await trip_and_recover(breaker, clock)
    await breaker.call_async(succeed)
    assert state_of(breaker) is BreakerState.HALF_OPEN
    await breaker.call_async(succeed)
    assert state_of(breaker) is BreakerState.CLOSED


async def test_after_closing_it_takes_the_whole_threshold_to_open_again(
    breaker: Breaker, clock: Clock
) -> None:
    await trip_and_recover(breaker, clock)
    await breaker.call_async(succeed)
    await breaker.call_async(succeed)
    await fail_times(breaker, 2)
    assert state_of(breaker) is BreakerState.CLOSED


async def test_a_failure_in_half_open_opens_it_for_another_full_recovery(
    breaker: Breaker, clock: Clock
) -> None:
    await trip_and_recover(breaker, clock)
    await breaker.call_async(succeed)
    await fail_times(breaker, 1)
    assert breaker.retry_after_seconds == 30
    clock.seconds += 30
    await breaker.call_async(succeed)
    assert state_of(breaker) is BreakerState.HALF_OPEN, "the earlier success must not count"


@pytest.mark.parametrize("probes", [1, 2])
async def test_of_fifty_concurrent_calls_at_half_open_only_the_probes_pass(
    probes: int, clock: Clock
) -> None:
    policy = BreakerPolicy(3, 30, success_threshold=2, probes=probes)
    breaker = Breaker("database", policy, timeout_seconds=5, monotonic=clock)
    passed = 0

    async def count() -> None:
        nonlocal passed
        passed += 1
        await asyncio.sleep(0.001)

    await trip_and_recover(breaker, clock)
    results = await asyncio.gather(
        *(breaker.call_async(count) for _ in range(50)), return_exceptions=True
    )
    assert passed == probes
    assert sum(isinstance(result, BreakerOpen) for result in results) == 50 - probes


async def test_a_caller_refused_by_a_busy_probe_is_told_when_the_probe_must_have_ended(
    breaker: Breaker, clock: Clock
) -> None:
    await trip_and_recover(breaker, clock)
    probe = await Call(breaker).begins()
    with pytest.raises(BreakerOpen) as caught:
        await breaker.call_async(succeed)
    assert caught.value.retry_after_seconds == breaker.timeout_seconds
    await probe.succeeds()


async def test_a_success_begun_before_it_opened_does_not_close_it(
    breaker: Breaker, clock: Clock
) -> None:
    slow = [await Call(breaker).begins() for _ in range(2)]
    await trip_and_recover(breaker, clock)
    probe = await Call(breaker).begins()
    for call in slow:
        await call.succeeds()
    assert state_of(breaker) is BreakerState.HALF_OPEN
    await probe.succeeds()
    assert breaker.snapshot().success_count == 1


async def test_a_success_begun_in_an_earlier_half_open_period_does_not_count(clock: Clock) -> None:
    policy = BreakerPolicy(3, 30, success_threshold=1, probes=2)
    breaker = Breaker("database", policy, timeout_seconds=5, monotonic=clock)
    await trip_and_recover(breaker, clock)
    slow = await Call(breaker).begins()
    await fail_times(breaker, 1)
    await slow.succeeds()
    assert breaker.is_open


async def test_a_failure_begun_before_it_opened_does_not_open_it_again(
    breaker: Breaker, clock: Clock
) -> None:
    slow = [await Call(breaker).begins() for _ in range(3)]
    await trip_and_recover(breaker, clock)
    await breaker.call_async(succeed)
    await slow[0].fails()
    assert state_of(breaker) is BreakerState.HALF_OPEN
    await breaker.call_async(succeed)
    await slow[1].fails()
    await slow[2].fails()
    assert state_of(breaker) is BreakerState.CLOSED
    assert breaker.snapshot().consecutive_failures == 0


async def test_failures_in_flight_when_it_opens_do_not_prolong_it(
    breaker: Breaker, clock: Clock
) -> None:
    slow = await Call(breaker).begins()
    await trip(breaker)
    clock.seconds += 20
    await slow.fails()
    assert breaker.retry_after_seconds == 10


async def test_a_cancelled_probe_frees_its_slot_and_counts_neither_way(
    breaker: Breaker, clock: Clock
) -> None:
    await trip_and_recover(breaker, clock)
    probe = await Call(breaker).begins()
    before = breaker.snapshot()
    probe.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe.task
    assert breaker.snapshot() == before
    assert await breaker.call_async(succeed) == "done"


async def test_an_excluded_error_neither_opens_nor_resets_the_count(breaker: Breaker) -> None:
    await fail_times(breaker, 2)
    with pytest.raises(Conflict):
        await breaker.call_async(conflict)
    assert breaker.snapshot().consecutive_failures == 2
    await fail_times(breaker, 1)
    assert breaker.is_open


async def test_an_excluded_error_in_half_open_frees_its_slot_and_proves_nothing(
    breaker: Breaker, clock: Clock
) -> None:
    await trip_and_recover(breaker, clock)
    for _ in range(5):
        with pytest.raises(Conflict):
            await breaker.call_async(conflict)
    assert state_of(breaker) is BreakerState.HALF_OPEN


async def test_a_time_out_counts_as_failure_whatever_is_failure_says(clock: Clock) -> None:
    breaker = Breaker(
        "database", POLICY, timeout_seconds=0.001, is_failure=is_outage, monotonic=clock
    )
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await breaker.call_async(hang)
    assert breaker.is_open


async def test_a_timed_out_probe_opens_it_again_and_leaves_no_slot_taken(clock: Clock) -> None:
    breaker = Breaker("database", POLICY, timeout_seconds=0.001, monotonic=clock)
    await trip_and_recover(breaker, clock)
    with pytest.raises(TimeoutError):
        await breaker.call_async(hang)
    assert breaker.is_open
    clock.seconds += 30
    assert await breaker.call_async(succeed) == "done"


async def test_the_listener_is_told_each_change_once_and_after_it_happened(clock: Clock) -> None:
    changes: list[tuple[str, str, str]] = []
    breakers: list[Breaker] = []

    def note(name: str, old: BreakerState, new: BreakerState) -> None:
        assert state_of(breakers[0]) is new
        changes.append((name, old, new))

    breaker = Breaker("kafka", POLICY, timeout_seconds=5, on_change=note, monotonic=clock)
    breakers.append(breaker)
    await trip_and_recover(breaker, clock)
    await fail_times(breaker, 1)
    clock.seconds += 30
    await breaker.call_async(succeed)
    await breaker.call_async(succeed)
    breaker.reset()
    assert changes == [
        ("kafka", "closed", "open"),
        ("kafka", "open", "half_open"),
        ("kafka", "half_open", "open"),
        ("kafka", "open", "half_open"),
        ("kafka", "half_open", "closed"),
    ]


async def test_the_snapshot_counts_calls_since_start(breaker: Breaker, clock: Clock) -> None:
    await breaker.call_async(succeed)
    await trip_and_recover(breaker, clock)
    await fail_times(breaker, 1)
    snapshot = breaker.snapshot()
    assert (snapshot.name, snapshot.state) == ("database", BreakerState.OPEN)
    assert (snapshot.failure_count, snapshot.success_count) == (4, 1)
    assert snapshot.consecutive_failures == 4


async def test_reset_closes_forgets_and_ignores_calls_in_flight(breaker: Breaker) -> None:
    slow = await Call(breaker).begins()
    await trip(breaker)
    breaker.reset()
    await slow.fails()
    snapshot = breaker.snapshot()
    assert snapshot.state is BreakerState.CLOSED
    assert (snapshot.failure_count, snapshot.consecutive_failures) == (0, 0)


async def test_each_period_has_a_new_generation(breaker: Breaker, clock: Clock) -> None:
    generations = [breaker.snapshot().generation]
    await trip_and_recover(breaker, clock)
    generations.append(breaker.snapshot().generation)
    await breaker.call_async(succeed)
    generations.append(breaker.snapshot().generation)
    assert generations == [1, 2, 3]


@pytest.fixture(params=["America/New_York", "Asia/Kolkata", "UTC"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


async def test_reopening_is_right_in_every_time_zone(
    zone: str, breaker: Breaker, clock: Clock
) -> None:
    await trip(breaker)
    with pytest.raises(BreakerOpen) as caught:
        await breaker.call_async(succeed)
    assert caught.value.retry_after_seconds == 30
    assert 29 < caught.value.time_remaining.total_seconds() <= 30
    assert 29 < (caught.value.reopen_time - datetime.now(UTC)).total_seconds() <= 30
    clock.seconds += 30
    assert await breaker.call_async(succeed) == "done"


def test_the_policies_are_the_agreed_ones() -> None:
    assert BreakerPolicy(3, 30, success_threshold=2, probes=1) == DATABASE_POLICY
    assert BreakerPolicy(5, 10, success_threshold=3, probes=1) == KAFKA_POLICY


def test_probing_every_second_keeps_the_thresholds() -> None:
    assert KAFKA_POLICY.probing_every(1) == BreakerPolicy(5, 1, success_threshold=3)


@pytest.mark.parametrize(
    "numbers", [(0, 30, 2, 1), (3, 0, 2, 1), (3, 30, 0, 1), (3, 30, 2, 0), (3, 30, 2, 3)]
)
def test_a_policy_out_of_bounds_is_refused(numbers: tuple[int, float, int, int]) -> None:
    with pytest.raises(AssertionError):
        BreakerPolicy(*numbers)


def test_by_default_every_exception_is_a_failure_and_cancellation_is_not() -> None:
    assert every_exception(ValueError())
    assert not every_exception(asyncio.CancelledError())
