"""How old the view is, and whether it has reached the ends that the logs have now."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from confluent_kafka import KafkaException

from services.enrollment.ingress.log_ends import LogEnds
from services.enrollment.ingress.problems import Problem
from shared.identifiers import PartitionKey
from shared.log_clock import LogClock

LOGGER: Final = logging.getLogger(__name__)
LOOK_SECONDS: Final = 0.5
OVERDUE_SECONDS: Final = 3.0  # a look takes so long only where Kafka or the database is away
POLL_SECONDS: Final = 0.01

T = TypeVar("T")
Offsets = Mapping[PartitionKey, int]


class Shared(Generic[T]):
    """One question for all who ask: each gets the first answer to it that was begun after asking.

    Giving up does not end it for the others.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._running: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None

    async def answer(self) -> T:
        """Wait for an answer as of now or later."""
        if self._next is None:
            self._next = asyncio.create_task(self._ask_after(self._running))
            self._next.add_done_callback(_look_at)
        return await asyncio.shield(self._next)

    async def _ask_after(self, running: "asyncio.Task[T] | None") -> T:
        if running is not None:
            await asyncio.wait([running])
        self._running, self._next = self._next, None
        return await self._ask()


def _look_at(task: "asyncio.Task[T]") -> None:
    """Everybody may have given up, and then nobody has seen its error."""
    if not task.cancelled():
        task.exception()


@dataclass(frozen=True, slots=True)
class _Look:
    at_seconds: float
    unread_since_seconds: float | None = None


class Freshness:
    """Compares the ends of the logs with the positions that the view's database has."""

    def __init__(
        self,
        ends: LogEnds,
        read_positions: Callable[[], Awaitable[Offsets]],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ends = Shared(ends.read)
        self._positions = Shared(read_positions)
        self._monotonic = monotonic
        self._clock = LogClock()
        self._last = _Look(monotonic())

    async def has_reached_now(self, topics: Collection[str], within_seconds: float) -> bool:
        """Wait until the view has the ends that these topics had when this was asked.

        False says that it had not in time, or that Kafka does not tell; a Problem, that the
        database does not.
        """
        try:
            async with asyncio.timeout(within_seconds):
                ends = await self._ends.answer()
                wanted = {key: end for key, end in ends.items() if key.topic in topics}
                while not _are_reached(wanted, await self._positions.answer()):
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            return False
        except KafkaException as error:
            LOGGER.warning("nobody tells where the logs end: %s", error)
            return False
        return True

    def age_seconds(self) -> float:
        """Tell for how long the view may have missed something: 0 where it had all lately."""
        now_seconds = self._monotonic()
        since_seconds = self._last.unread_since_seconds
        if since_seconds is not None:
            return now_seconds - since_seconds
        looked_seconds_ago = now_seconds - self._last.at_seconds
        return looked_seconds_ago if looked_seconds_ago > OVERDUE_SECONDS else 0.0

    async def run(self) -> None:
        """Look every so often, until cancelled."""
        while True:
            try:
                await self._look()
            except (KafkaException, Problem) as error:
                LOGGER.info("nobody tells how old the view is: %r", error)
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        ends = await self._ends.answer()
        now_seconds = self._monotonic()
        positions = await self._positions.answer()
        self._clock.note(now_seconds, ends)
        age_seconds = self._clock.age(now_seconds, positions)
        is_behind = not _are_reached(ends, positions)
        self._last = _Look(now_seconds, now_seconds - age_seconds if is_behind else None)


def _are_reached(ends: Offsets, positions: Offsets) -> bool:
    return all(positions.get(key, 0) >= end for key, end in ends.items())
