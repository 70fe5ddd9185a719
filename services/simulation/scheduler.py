"""One thread of virtual time: coroutines and greenlets that wait for it or for each other."""

from asyncio import CancelledError
from collections.abc import Callable, Coroutine, Generator
from heapq import heappop, heappush
from types import coroutine
from typing import Any, Final, Generic, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

T = TypeVar("T")

SECOND_US: Final = 1_000_000


class StuckError(Exception):
    """The simulated world does more than any history should: it will not come to rest."""


class Scheduler:
    """Calls what is due, in the order of virtual time, and of asking where times are equal."""

    __slots__ = ("_due", "_end_us", "_order", "calls", "calls_max", "is_stopped", "now_us")

    def __init__(self, calls_max: int) -> None:
        self.now_us = 0
        self.calls = 0
        self.calls_max = calls_max
        self.is_stopped = False
        self._end_us = 0
        self._order = 0
        self._due: list[tuple[int, int, Callable[..., None], tuple[int, ...]]] = []

    def after(self, delay_us: int, call: Callable[..., None], *numbers: int) -> None:
        """Have something called later; what is no longer wanted must see so by itself."""
        self._order += 1
        heappush(self._due, (self.now_us + delay_us, self._order, call, numbers))

    def stop(self) -> None:
        """Have `run_until` return after the call that it is making."""
        self.is_stopped = True

    def passes(self, delay_us: int) -> bool:
        """Let time pass at once for whoever would be called next; False where others come first."""
        then_us = self.now_us + delay_us
        if then_us > self._end_us or self.is_stopped or (self._due and self._due[0][0] <= then_us):
            return False
        self.now_us = then_us
        self.calls += 1
        return self.calls <= self.calls_max

    def run_until(self, end_us: int) -> None:
        """Run until a time is reached, or until it is stopped; what raises gets out."""
        due, self._end_us = self._due, end_us
        while due and due[0][0] <= end_us and not self.is_stopped:
            self.calls += 1
            if self.calls > self.calls_max:
                raise StuckError(f"more than {self.calls_max} steps")
            self.now_us, _, call, numbers = heappop(due)
            call(*numbers)
        if not due or due[0][0] > end_us:
            self.now_us = max(self.now_us, end_us)


@coroutine
def pause(delay_us: int) -> Generator[int, None, None]:
    """Let virtual time pass, in a coroutine of a Task."""
    yield delay_us


class Signal(Generic[T]):
    """Something that will be known once; tasks await it, and see its error where it has one."""

    __slots__ = ("_error", "_value", "is_set", "waiting")

    def __init__(self) -> None:
        self.is_set = False
        self.waiting: list[Callable[[], None]] = []
        self._value: T | None = None
        self._error: BaseException | None = None

    def set(self, value: T | None = None, error: BaseException | None = None) -> None:
        """Set it, the first time only, and wake whoever waits."""
        if self.is_set:
            return
        self.is_set, self._value, self._error = True, value, error
        waiting, self.waiting = self.waiting, []
        for wake in waiting:
            wake()

    def result(self) -> T | None:
        """Give the value, or raise the error."""
        if self._error is not None:
            raise self._error
        return self._value

    def __await__(self) -> Generator["Signal[T]", None, T | None]:
        """Wait until it is set."""
        if not self.is_set:
            yield self
        return self.result()


class Task:
    """A coroutine at work; awaits only `pause` and Signals."""

    __slots__ = ("_coroutine", "_error", "_frozen", "_generation", "_scheduler", "done")

    def __init__(self, scheduler: Scheduler, work: Coroutine[Any, Any, Any]) -> None:
        self.done: Signal[Any] = Signal()
        self._scheduler = scheduler
        self._coroutine = work
        self._generation = 0  # a wake of an earlier one is stale
        self._error: BaseException | None = None
        self._frozen: list[Callable[[], None]] | None = None
        self._wake_after(0)

    def cancel(self) -> None:
        """Raise CancelledError where it waits, as asyncio does."""
        if not self.done.is_set:
            self._error = CancelledError()
            self._wake_after(0)

    def kill(self) -> None:
        """End it where it stands; its `finally` blocks run, and must not wait."""
        if not self.done.is_set:
            self._generation += 1
            self._coroutine.close()
            self.done.set(error=CancelledError())

    def freeze(self) -> None:
        """Hold it where it stands until `thaw`: a process that was stopped."""
        if self._frozen is None:
            self._frozen = []

    def thaw(self) -> None:
        """Go on."""
        missed, self._frozen = self._frozen or [], None
        for wake in missed:
            self._scheduler.after(0, wake)

    def _wake_after(self, delay_us: int) -> None:
        self._generation += 1
        self._scheduler.after(delay_us, self._step, self._generation)

    def _step(self, generation: int) -> None:
        if generation != self._generation or self.done.is_set:
            return
        if self._frozen is not None:
            self._frozen.append(lambda: self._step(generation))
            return
        error, self._error = self._error, None
        try:
            awaited = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
            while type(awaited) is int and self._goes_on(generation, awaited):
                awaited = self._coroutine.send(None)
        except StopIteration as stop:
            self.done.set(stop.value)
        except (Exception, CancelledError) as raised:  # noqa: BLE001  whoever awaits it will see
            self.done.set(error=raised)
        else:
            self._wait_for(awaited)

    def _goes_on(self, generation: int, delay_us: int) -> bool:
        """Tell whether nothing else would happen while it waits: then it need not."""
        return (
            self._frozen is None
            and self._generation == generation
            and self._scheduler.passes(delay_us)
        )

    def _wait_for(self, awaited: "int | Signal[Any]") -> None:
        if isinstance(awaited, int):
            self._wake_after(awaited)
            return
        self._generation += 1
        generation = self._generation
        awaited.waiting.append(lambda: self._scheduler.after(0, self._step, generation))


class Thread:
    """A function that blocks as a thread would, in a greenlet of its own; calls `wait` to block."""

    __slots__ = ("_frozen", "_generation", "_greenlet", "_scheduler", "is_over")

    def __init__(self, scheduler: Scheduler, function: Callable[[], None]) -> None:
        self.is_over = False
        self._scheduler = scheduler
        self._generation = 0
        self._frozen: list[Callable[[], None]] | None = None
        self._greenlet = greenlet(function)
        self.wake()

    def wait(self, timeout_us: int) -> None:
        """Block the calling thread until `wake`, or until the time is over."""
        assert getcurrent() is self._greenlet, "only the thread itself can wait"
        self._resume_after(timeout_us)
        assert self._greenlet.parent is not None
        self._greenlet.parent.switch()

    def wake(self) -> None:
        """End a wait early."""
        self._resume_after(0)

    def kill(self) -> None:
        """End it where it stands; its `finally` blocks run, and must not wait."""
        self._generation += 1
        self.is_over = True
        if self._greenlet:
            self._greenlet.throw(GreenletExit)

    def freeze(self) -> None:
        """Hold it where it stands until `thaw`: a process that was stopped."""
        if self._frozen is None:
            self._frozen = []

    def thaw(self) -> None:
        """Go on."""
        missed, self._frozen = self._frozen or [], None
        for wake in missed:
            self._scheduler.after(0, wake)

    def _resume_after(self, delay_us: int) -> None:
        self._generation += 1
        self._scheduler.after(delay_us, self._resume, self._generation)

    def _resume(self, generation: int) -> None:
        if generation != self._generation or self.is_over:
            return
        if self._frozen is not None:
            self._frozen.append(lambda: self._resume(generation))
            return
        self._greenlet.parent = getcurrent()
        self._greenlet.switch()
        self.is_over = self._greenlet.dead
