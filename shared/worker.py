"""Handles batches one after the other: never skips one, never fails one for an outage."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic

from shared.batch_spans import BatchTrace, NewBatchTrace, Untraced
from shared.breaker import BreakerOpen, Guard
from shared.clock import Clock
from shared.codec import decode, uses_inbox
from shared.desk import ReadBatch
from shared.errors import StaleBatchError
from shared.identifiers import PartitionKey
from shared.message import Arrival, Message, Move, Unreadable
from shared.reaction import (
    Batch,
    Folded,
    OpenUnit,
    Parked,
    Reactions,
    State,
    describe_error,
    react,
)
from shared.retry import Backoff, is_transient_database_error

LOGGER: Final = logging.getLogger(__name__)
BACKOFF: Final = Backoff(initial_seconds=0.02, maximum_seconds=1.0)


@dataclass(frozen=True, slots=True)
class Handled:
    """What a committed batch came to."""

    read: int
    folded: Folded
    seconds: float


class Worker(Generic[State]):
    """Decodes a batch and has its transaction committed, however long that takes."""

    def __init__(
        self,
        open_unit: OpenUnit[State],
        reactions: Reactions[State],
        clock: Clock,
        *,
        database_breaker: Guard,
        on_handled: Callable[[Handled], Awaitable[None]],
        uses_inbox: Callable[[str], bool] = uses_inbox,
        parks_unreadable: bool = True,
        new_trace: NewBatchTrace = Untraced,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_unit = open_unit
        self._reactions = reactions
        self._clock = clock
        self._breaker = database_breaker
        self._on_handled = on_handled
        self._uses_inbox = uses_inbox
        self._parks_unreadable = parks_unreadable
        self._new_trace = new_trace
        self._sleep = sleep
        self._random = random
        self._monotonic = monotonic

    async def handle(self, read: ReadBatch) -> None:
        """Handle a batch; raises StaleBatchError where it must be read again.

        Cancelling rolls it back. An error that repeats is narrowed down to the message that
        brings it, which is parked.
        """
        began_seconds = self._monotonic()
        trace = self._new_trace()
        batch = self._decode(read, trace)
        try:
            folded = await self._commit(batch)
        except StaleBatchError:
            raise
        except Exception:
            LOGGER.exception("a batch of %d is refused: one by one", len(read.messages))
            folded = await self._one_by_one(batch)
        trace.committed(folded)
        seconds = self._monotonic() - began_seconds
        await self._on_handled(Handled(len(read.messages), folded, seconds))

    def _decode(self, read: ReadBatch, trace: BatchTrace) -> Batch:
        arrivals: list[Arrival] = []
        unreadable: list[Unreadable] = []
        for message in read.messages:
            match decode(message, self._reactions.keys()):
                case Arrival() as arrival:
                    arrivals.append(trace.arrived(arrival))
                case Unreadable() as bad:
                    unreadable += [bad] if self._parks_unreadable else []
                case None:
                    continue
        return Batch(arrivals, unreadable, read.moves)

    async def _commit(self, batch: Batch) -> Folded:
        return await self._until_committed(lambda: self._commit_once(batch))

    async def _until_committed(self, commit_once: Callable[[], Awaitable[Folded]]) -> Folded:
        """Commit once the database lets us; only an error that would repeat gets out."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._breaker.call_async(commit_once)
            except BreakerOpen as error:
                await self._sleep(error.retry_after_seconds)
            except Exception as error:
                if not is_transient_database_error(error):
                    raise
                LOGGER.warning("a batch waits for the database: %r", error)
                await self._sleep(BACKOFF.delay_seconds(attempt, self._random()))

    async def _commit_once(self, batch: Batch) -> Folded:
        async with self._open_unit() as unit:
            return await react(
                unit, batch, self._reactions, self._clock(), uses_inbox=self._uses_inbox
            )

    async def _one_by_one(self, batch: Batch) -> Folded:
        """Commit each message alone, park those that the database refuses, then move on.

        The offsets stand still until the end, and every transaction sees to it that they do.
        """
        total = Folded()
        for arrival in batch.arrivals:
            key = arrival.message.partition_key
            still = {key: Move(batch.moves[key].expected, batch.moves[key].expected)}
            try:
                folded = await self._commit(Batch([arrival], [], still))
            except StaleBatchError:
                raise
            except Exception as error:
                LOGGER.exception("%s is refused, and parked", _place(arrival.message))
                park_once = partial(self._park_once, arrival, error, still)
                folded = await self._until_committed(park_once)
            _add(total, folded)
        _add(total, await self._commit(Batch([], batch.unreadable, batch.moves)))
        return total

    async def _park_once(
        self, arrival: Arrival, error: Exception, still: Mapping[PartitionKey, Move]
    ) -> Folded:
        parked = Parked(
            arrival.message,
            "database_refused",
            describe_error(error),
            event_type=type(arrival.event).__name__,
            enrollment_id=arrival.enrollment_id,
            holds=arrival.enrollment_id is not None,
        )
        async with self._open_unit() as unit:
            await unit.advance(still)
            if self._uses_inbox(arrival.message.topic):
                await unit.claim([arrival.event_id])
            await unit.park([parked], self._clock())
        return Folded(parked=[parked])


def _add(total: Folded, folded: Folded) -> None:
    total.emitted += folded.emitted
    total.caused += folded.caused
    total.parked += folded.parked
    total.duplicates += folded.duplicates


def _place(message: Message) -> str:
    return f"{message.topic}/{message.partition}/{message.offset}"
