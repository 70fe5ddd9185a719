"""What the event loop is to a real process, in virtual time: sleep, a bell, a batch at work."""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from concurrent import futures
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, TypeVar
from uuid import UUID

from services.simulation.database import MemoryDatabase
from services.simulation.scheduler import SECOND_US, Scheduler, Signal, Task, Thread, pause
from shared.identifiers import EventId

EPOCH: Final = datetime(2031, 1, 15, 8, tzinfo=UTC)
EPOCH_MS: Final = int(EPOCH.timestamp() * 1000)

T = TypeVar("T")


def moment(now_us: int) -> datetime:
    """Give a time of a history as the services know it."""
    return EPOCH + timedelta(microseconds=now_us)


def event_id_at(now_us: int, random: Random) -> EventId:
    """Make a UUIDv7 of virtual time and seeded chance."""
    milliseconds = EPOCH_MS + now_us // 1000
    chance = random.getrandbits(62)
    return EventId(UUID(int=(milliseconds << 80) | (0x7 << 76) | (0b10 << 62) | chance))


async def sleep(seconds: float) -> None:
    """Sleep in virtual time."""
    await pause(int(seconds * SECOND_US))


class Unguarded:
    """A breaker that never opens: what it would spare a server costs nothing here."""

    async def call_async(self, func: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """Call it."""
        return await func(*args, **kwargs)


class SimulatedRun:
    """The consumer's Run: a batch at work in a task."""

    def __init__(self, scheduler: Scheduler, task: Task, thread: Thread) -> None:
        self._scheduler = scheduler
        self._task = task
        self._thread = thread
        task.done.waiting.append(thread.wake)

    def wait(self, seconds: float) -> bool:
        """Block the consumer's thread until the batch is done, no longer than this."""
        give_up_us = self._scheduler.now_us + int(seconds * SECOND_US)
        while not self._task.done.is_set and self._scheduler.now_us < give_up_us:
            self._thread.wait(give_up_us - self._scheduler.now_us)  # a message may end it early
        return self._task.done.is_set

    def result(self) -> Any:
        """Give what the batch gave, or raise what it raised."""
        try:
            return self._task.done.result()
        except CancelledError:
            raise futures.CancelledError from None

    def cancel(self) -> None:
        """Ask for a rollback."""
        self._task.cancel()


class SimulatedBell:
    """The relay's Bell, for an outbox.

    A look that finds nothing changes nothing, so none is taken before there is something.
    """

    def __init__(self, scheduler: Scheduler, outbox: MemoryDatabase) -> None:
        self._scheduler = scheduler
        self._outbox = outbox
        self._rung: Signal[None] = Signal()

    def ring(self) -> None:
        """Wake whoever waits."""
        self._rung.set()

    def mute(self) -> None:
        """Forget that it was rung."""
        if self._rung.is_set:
            self._rung = Signal()

    async def wait(self, seconds: float) -> None:
        """Wait until it is rung, no longer than this."""
        rung, interval_us = self._rung, int(seconds * SECOND_US)
        if self._outbox.rows("outbox"):
            self._scheduler.after(interval_us, rung.set)
        else:
            self._outbox.when_appended.append(lambda: self._scheduler.after(interval_us, rung.set))
        await rung
