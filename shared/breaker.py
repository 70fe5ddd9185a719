"""A circuit breaker that stops calling a failing database or broker until it has recovered."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NoReturn, ParamSpec, Protocol, TypeVar

from aiobreaker import CircuitBreaker, CircuitBreakerError, CircuitBreakerState

P = ParamSpec("P")
T = TypeVar("T")


class Guard(Protocol):
    """What those need of a breaker who call through it; the simulator has one that never opens."""

    async def call_async(self, func: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """Call `func`, or raise BreakerOpen at once."""


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When to open (consecutive failures), how long to stay open, and how to close again."""

    failure_threshold: int
    recovery_seconds: float
    success_threshold: int
    probes: int = 1  # concurrent calls while half-open

    def __post_init__(self) -> None:
        assert self.failure_threshold >= 1
        assert self.recovery_seconds > 0
        assert self.success_threshold >= 1
        assert self.probes in {1, 2}, "more probes than two would flood what is just recovering"

    def probing_every(self, seconds: float) -> "BreakerPolicy":
        """The same thresholds with a shorter recovery: for consumers, relays and timers.

        Nobody waits for their answer and each sends one probe at a time, so they probe every
        second: work resumes within a second of the dependency, not half a minute later.
        """
        return replace(self, recovery_seconds=seconds)


DATABASE_POLICY = BreakerPolicy(failure_threshold=3, recovery_seconds=30, success_threshold=2)
KAFKA_POLICY = BreakerPolicy(failure_threshold=5, recovery_seconds=10, success_threshold=3)


class BreakerOpen(CircuitBreakerError):  # type: ignore[misc]  # noqa: N818  (aiobreaker is untyped)
    """The call was not made: try again after `retry_after_seconds`."""

    def __init__(self, name: str, retry_after_seconds: float) -> None:
        wait = timedelta(seconds=retry_after_seconds)
        message = f"circuit breaker {name} is open for {retry_after_seconds:.1f} s more"
        super().__init__(message, datetime.now(UTC) + wait)
        self.name = name
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return str(self.message)

    @property
    def time_remaining(self) -> timedelta:
        """Against the same clock as `reopen_time`: aiobreaker's is wrong outside UTC."""
        remaining: timedelta = self.reopen_time - datetime.now(UTC)
        return remaining


@dataclass(slots=True)
class _Counts:
    failure_count: int = 0
    success_count: int = 0
    consecutive_failures: int = 0


@dataclass(frozen=True, slots=True)
class BreakerSnapshot:
    """Counts are of calls since start or reset; excluded, cancelled and stale ones count nowhere.

    An open breaker turns half-open at the next call, so `state` stays open until one comes.
    """

    name: str
    state: BreakerState
    generation: int
    failure_count: int
    success_count: int
    consecutive_failures: int


class _Period:
    """One stay in one state: a result counts only if the period in which its call began lasts."""

    def __init__(self, breaker: "Breaker", state: CircuitBreakerState) -> None:
        self.state = state  # under this name, for aiobreaker compares it with its storage's
        self.breaker = breaker
        self.generation = breaker.generation
        self.in_flight = 0

    async def call_async(self, func: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        self.admit()
        limit = asyncio.timeout(self.breaker.timeout_seconds)
        self.in_flight += 1
        try:
            async with limit:
                result = await func(*args, **kwargs)
        except Exception as error:
            if limit.expired() or self.breaker.is_system_error(error):
                self._count_failure()
            raise
        else:
            self._count_success()
            return result
        finally:
            self.in_flight -= 1  # here, because cancellation must free a probe's slot too

    def admit(self) -> None:
        """Raise BreakerOpen if no call may start now."""

    def on_failure(self) -> None:
        """Called after a failure was counted."""

    def on_success(self) -> None:
        """Called after a success was counted."""

    def seconds_left(self) -> float:
        return 0.0

    def _count_failure(self) -> None:
        if self.generation == self.breaker.generation:
            self.breaker.counts.failure_count += 1
            self.breaker.counts.consecutive_failures += 1
            self.on_failure()

    def _count_success(self) -> None:
        if self.generation == self.breaker.generation:
            self.breaker.counts.success_count += 1
            self.breaker.counts.consecutive_failures = 0
            self.on_success()


class _Closed(_Period):
    def on_failure(self) -> None:
        if self.breaker.counts.consecutive_failures >= self.breaker.policy.failure_threshold:
            self.breaker.open()


class _Open(_Period):
    def __init__(self, breaker: "Breaker", state: CircuitBreakerState) -> None:
        super().__init__(breaker, state)
        self.until = breaker.monotonic() + breaker.policy.recovery_seconds

    def seconds_left(self) -> float:
        return max(0.0, self.until - self.breaker.monotonic())

    async def call_async(self, func: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        if self.seconds_left() > 0:
            raise BreakerOpen(self.breaker.name, self.seconds_left())
        self.breaker.half_open()
        return await self.breaker.call_async(func, *args, **kwargs)


class _HalfOpen(_Period):
    successes = 0

    def admit(self) -> None:
        if self.in_flight >= self.breaker.policy.probes:
            # by then the probe has ended, well or badly
            soon = min(self.breaker.timeout_seconds, self.breaker.policy.recovery_seconds)
            raise BreakerOpen(self.breaker.name, soon)

    def on_failure(self) -> None:
        self.breaker.open()

    def on_success(self) -> None:
        self.successes += 1
        if self.successes >= self.breaker.policy.success_threshold:
            self.breaker.close()


_PERIODS: dict[CircuitBreakerState, type[_Period]] = {
    CircuitBreakerState.CLOSED: _Closed,
    CircuitBreakerState.OPEN: _Open,
    CircuitBreakerState.HALF_OPEN: _HalfOpen,
}


def dependency_of(name: str) -> str:
    """Name what a breaker guards, which ends its own name: `http.database` guards `database`."""
    return name.rpartition(".")[2]


def every_exception(error: BaseException) -> bool:
    return isinstance(error, Exception)


def ignore_change(name: str, old: BreakerState, new: BreakerState) -> None:
    """For a breaker that nobody watches."""


class Breaker(CircuitBreaker):  # type: ignore[misc]  # aiobreaker is untyped
    """One per dependency, in the memory of one process and for one event loop.

    `is_failure` tells an outage from an error of the call itself. An error that is none counts
    neither way: it does not open the breaker, and does not prove recovery either. So does a
    cancelled call. A call that takes longer than `timeout_seconds` is always a failure.
    `on_change` is called after the change and must not raise.

    Of aiobreaker's interface, `call_async`, the decorator, `open`, `half_open` and `close` work;
    its listeners are never called and `opens_at` is not kept (use `retry_after_seconds`).
    """

    def __init__(
        self,
        name: str,
        policy: BreakerPolicy,
        *,
        timeout_seconds: float,
        is_failure: Callable[[BaseException], bool] = every_exception,
        on_change: Callable[[str, BreakerState, BreakerState], None] = ignore_change,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        assert timeout_seconds > 0
        self.policy = policy
        self.timeout_seconds = timeout_seconds
        self.monotonic = monotonic
        self.counts = _Counts()
        self.generation = 0
        self._is_failure = is_failure
        self._on_change = on_change
        super().__init__(name=name)  # last, because it makes the first period

    async def call_async(
        self, func: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Await the call, or raise BreakerOpen at once; the call's own error passes unchanged."""
        result: T = await super().call_async(func, *args, **kwargs)
        return result

    def call(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise TypeError("this breaker guards coroutines only: use call_async")

    @property
    def is_open(self) -> bool:
        """Whether every call is refused now; False as soon as a probe may be tried.

        So a loop that checks before it calls can't wait for ever.
        """
        return self.retry_after_seconds > 0

    @property
    def retry_after_seconds(self) -> float:
        seconds: float = self.state.seconds_left()
        return seconds

    def snapshot(self) -> BreakerSnapshot:
        return BreakerSnapshot(
            name=self.name,
            state=BreakerState[self.current_state.name],
            generation=self.generation,
            failure_count=self.counts.failure_count,
            success_count=self.counts.success_count,
            consecutive_failures=self.counts.consecutive_failures,
        )

    def reset(self) -> None:
        """Close and forget; calls still in flight no longer count."""
        self.counts = _Counts()
        self.close()

    def is_system_error(self, exception: Exception) -> bool:
        return self._is_failure(exception)

    def open(self) -> None:
        self._enter(CircuitBreakerState.OPEN)

    def half_open(self) -> None:
        self._enter(CircuitBreakerState.HALF_OPEN)

    def close(self) -> None:
        self.counts.consecutive_failures = 0
        self._enter(CircuitBreakerState.CLOSED)

    def _enter(self, state: CircuitBreakerState) -> None:
        old = BreakerState[self.current_state.name]
        self._state_storage.state = state
        self.state = state
        new = BreakerState[state.name]
        if new is not old:
            self._on_change(self.name, old, new)

    def _create_new_state(
        self,
        new_state: CircuitBreakerState,
        prev_state: _Period | None = None,  # noqa: ARG002  (aiobreaker's signature)
        notify: bool = False,  # noqa: ARG002
    ) -> _Period:
        self.generation += 1
        return _PERIODS[new_state](self, new_state)
