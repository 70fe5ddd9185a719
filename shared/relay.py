"""Moves the outbox to its topics, in order, at least once; one relay at work per database."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol

import asyncpg

from shared import outbox
from shared.breaker import BreakerOpen, Guard
from shared.database import Database, Transaction
from shared.errors import DeliveryFailedError, LeaseLostError, NotDeliveredError
from shared.outbox import OutboxRow
from shared.retry import is_transient_database_error

LOGGER: Final = logging.getLogger(__name__)
LEASE_LOCK: Final = 3_907_221
POLL_SECONDS_MIN: Final = 0.05  # for what other processes commit; our own wakes the relay
POLL_SECONDS_MAX: Final = 0.1
PROBE_SECONDS: Final = 1.0


class Publisher(Protocol):
    """Where the relay publishes: the producer, or the simulator's log."""

    def send(self, rows: Sequence[OutboxRow]) -> None:
        """Hand rows over, in order."""

    async def flush(self) -> None:
        """Wait until all is acknowledged; raise NotDeliveredError or DeliveryFailedError."""

    def abandon(self) -> None:
        """Forget what is not delivered."""


class Outbox(Protocol):
    """The outbox as the holder of the lease sees it."""

    async def oldest(self, limit: int) -> Sequence[OutboxRow]:
        """Read the lowest visible rows."""

    async def delete(self, ids: Sequence[int]) -> None:
        """Forget delivered rows, and commit."""


class LeasedOutbox:
    """Reads and deletes on the very connection that holds the lease: lose it, lose the right."""

    def __init__(self, transaction: Transaction, breaker: Guard) -> None:
        self._transaction = transaction  # in autocommit: each statement is one of its own
        self._breaker = breaker

    async def oldest(self, limit: int) -> Sequence[OutboxRow]:
        """Read the lowest visible rows."""
        return await self._breaker.call_async(outbox.oldest, self._transaction, limit)

    async def delete(self, ids: Sequence[int]) -> None:
        """Forget delivered rows."""
        await self._breaker.call_async(outbox.delete, self._transaction, ids)


@asynccontextmanager
async def lease(database: Database, breaker: Guard) -> AsyncIterator[Outbox]:
    """Take the right to relay, or raise LeaseLostError while another process has it.

    The lock belongs to the session: it goes with the process, or with its connection.
    """
    async with database.session() as (connection, driver):
        if not await driver.fetchval("SELECT pg_try_advisory_lock($1)", LEASE_LOCK):
            raise LeaseLostError("another process relays this outbox")
        try:
            yield LeasedOutbox(Transaction(connection, driver), breaker)
        finally:
            await _give_back(driver)


async def _give_back(driver: asyncpg.Connection) -> None:
    """Unlock; a connection that cannot is cut, and the lease goes with it."""
    try:
        await driver.fetchval("SELECT pg_advisory_unlock($1)", LEASE_LOCK)
    except Exception as error:  # noqa: BLE001  it must not hide why the relay ends
        LOGGER.info("the lease goes with its connection: %r", error)
        driver.terminate()


async def relay_once(
    waiting: Outbox, publish: Callable[[Sequence[OutboxRow]], Awaitable[None]], limit: int
) -> int:
    """Publish the oldest rows and delete them once they are acknowledged; count them."""
    rows = await waiting.oldest(limit)
    if rows:
        await publish(rows)
        await waiting.delete([row.id for row in rows])
    return len(rows)


class Bell(Protocol):
    """Tells the relay that something was committed."""

    def ring(self) -> None:
        """Wake whoever waits, or will wait before the bell is muted."""

    def mute(self) -> None:
        """Forget that it was rung."""

    async def wait(self, seconds: float) -> None:
        """Wait until it is rung, no longer than this."""


class EventBell:
    """A bell for tasks of one event loop."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake whoever waits."""
        self._rung.set()

    def mute(self) -> None:
        """Forget that it was rung."""
        self._rung.clear()

    async def wait(self, seconds: float) -> None:
        """Wait until it is rung, no longer than this."""
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            return


class Relay:
    """Runs for ever: takes the lease, then publishes whatever waits, woken after each commit."""

    def __init__(
        self,
        take_lease: Callable[[], AbstractAsyncContextManager[Outbox]],
        new_publisher: Callable[[], Publisher],
        *,
        kafka_breaker: Guard,
        batch_size_max: int,
        on_published: Callable[[Sequence[OutboxRow]], None],
        bell: Bell | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._take_lease = take_lease
        self._new_publisher = new_publisher
        self._kafka_breaker = kafka_breaker
        self._batch_size_max = batch_size_max
        self._on_published = on_published
        self._bell = bell or EventBell()
        self._sleep = sleep
        self.holds_lease = False

    def wake(self) -> None:
        """Say that something was committed to the outbox."""
        self._bell.ring()

    async def run(self) -> None:
        """Relay until cancelled; an outage of the database or of Kafka only delays."""
        while True:
            try:
                async with self._take_lease() as waiting:
                    await self._relay_with(waiting)
            except LeaseLostError:
                LOGGER.debug("another process relays; standing by")
            except DeliveryFailedError as error:
                LOGGER.warning("relay starts again from the outbox: %s", error)
            except BreakerOpen as error:
                LOGGER.warning("relay waits for the database: %s", error)
            except Exception as error:
                if not is_transient_database_error(error):
                    raise
                LOGGER.warning("relay waits for the database: %r", error)
            await self._sleep(PROBE_SECONDS)

    async def _relay_with(self, waiting: Outbox) -> None:
        publisher = self._new_publisher()
        self.holds_lease = True
        pause_seconds = POLL_SECONDS_MIN
        try:
            while True:
                self._bell.mute()
                count = await relay_once(
                    waiting, lambda rows: self._publish(publisher, rows), self._batch_size_max
                )
                pause_seconds = min(pause_seconds * 2, POLL_SECONDS_MAX)
                if count:
                    pause_seconds = POLL_SECONDS_MIN
                if count < self._batch_size_max:
                    await self._bell.wait(pause_seconds)
        finally:
            self.holds_lease = False
            publisher.abandon()

    async def _publish(self, publisher: Publisher, rows: Sequence[OutboxRow]) -> None:
        """Send once, then wait as long as it takes: to send again could reorder."""
        publisher.send(rows)
        while True:
            try:
                await self._kafka_breaker.call_async(publisher.flush)
                break
            except BreakerOpen as error:
                await self._sleep(error.retry_after_seconds)
            except NotDeliveredError as error:
                LOGGER.warning("relay waits for Kafka: %s", error)
        self._on_published(rows)
