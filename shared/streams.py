"""Faust as the runtime: agents, timers and supervised services, without its own Kafka consumer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent import futures
from typing import Any, Final

import faust
import mode
from faust.app.base import BootStrategy

from shared.consumer import BatchConsumer
from shared.desk import ReadBatch
from shared.gates import Gates
from shared.identifiers import PartitionKey

LOGGER: Final = logging.getLogger(__name__)
OFFSETS_SECONDS: Final = 3.0
STOP_SECONDS: Final = 8.0
WATCH_SECONDS: Final = 0.2

HandleBatch = Callable[[ReadBatch], Awaitable[None]]
ReadOffsets = Callable[[], Awaitable[dict[PartitionKey, int]]]
Tick = Callable[[], Awaitable[None]]


class WithoutKafka(BootStrategy):
    """Starts agents and timers, and neither Faust's consumer nor its web server.

    Faust's consumer acknowledges events whose handler raised, and commits past events that no
    handler saw when an agent crashes: not for a saga.
    """

    enable_kafka = False
    enable_web = False


class StreamApp(faust.App):
    """A Faust app whose channels are fed by our own consumer."""

    BootStrategy = WithoutKafka

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._supervised: list[mode.Service] = []

    def supervise(self, service: mode.Service) -> None:
        """Have a service started with the app, after the agents, and stopped before them."""
        self._supervised.append(service)

    async def on_first_start(self) -> None:
        """Leave out what Faust does here: it makes directories for tables, and there are none."""

    async def on_started(self) -> None:
        """Let the in-memory channels flow: without a Kafka consumer nobody else does."""
        self.flow_control.resume()
        await super().on_started()
        for service in self._supervised:
            await self.add_runtime_dependency(service)


class BatchRun:
    """One batch on its way through the channel (shared.desk.Run)."""

    def __init__(self, batch: ReadBatch, loop: asyncio.AbstractEventLoop) -> None:
        self._batch = batch
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._done: futures.Future[None] = futures.Future()

    def cancel(self) -> None:
        """Ask for a rollback, from any thread."""
        self._loop.call_soon_threadsafe(self._cancel)

    def wait(self, seconds: float) -> bool:
        """Block the consumer's thread until the batch is over, no longer than this."""
        return bool(futures.wait([self._done], seconds).done)

    def result(self) -> None:
        """Raise why the batch was not committed."""
        self._done.result()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
        elif not self._done.done():
            self._done.set_exception(futures.CancelledError())

    async def work(self, handle: HandleBatch) -> None:
        """Handle the batch and say how it went; never raises, or the agent would die of it."""
        if self._done.done():
            return  # cancelled before it began
        self._task = asyncio.ensure_future(handle(self._batch))
        self._task.add_done_callback(self._finish)  # also where the agent is stopped meanwhile
        await asyncio.wait([self._task])

    def _finish(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled():
            self._done.set_exception(futures.CancelledError())
        elif (error := task.exception()) is not None:
            self._done.set_exception(error)
        else:
            self._done.set_result(None)


class EventLoopDesk:
    """What the consumer's thread needs of the event loop (shared.desk.Desk)."""

    def __init__(
        self,
        channel: Any,
        loop: asyncio.AbstractEventLoop,
        read_offsets: ReadOffsets,
        gates: Gates,
    ) -> None:
        self._channel = channel
        self._loop = loop
        self._read_offsets = read_offsets
        self._gates = gates

    def start(self, batch: ReadBatch) -> BatchRun:
        """Put the batch into the agent's channel."""
        run = BatchRun(batch, self._loop)
        asyncio.run_coroutine_threadsafe(self._channel.put(run), self._loop)
        return run

    def read_offsets(self) -> dict[PartitionKey, int]:
        """Read the database's offsets, within OFFSETS_SECONDS."""
        reading = asyncio.run_coroutine_threadsafe(self._bounded_read(), self._loop)
        return reading.result()

    async def _bounded_read(self) -> dict[PartitionKey, int]:
        async with asyncio.timeout(OFFSETS_SECONDS):
            return await self._read_offsets()

    def closed_topics(self) -> frozenset[str]:
        """Name the topics that are closed."""
        return self._gates.closed_topics()


class ConsumerService(mode.Service):
    """Supervises the consumer's thread; where that fails the process must not live on."""

    def __init__(self, new_consumer: Callable[[], BatchConsumer], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._new_consumer = new_consumer
        self.consumer: BatchConsumer | None = None

    async def on_start(self) -> None:
        """Start the thread."""
        self.consumer = self._new_consumer()
        self.consumer.start()

    async def on_stop(self) -> None:
        """Stop the thread: a batch that is at work ends, or is rolled back."""
        if self.consumer is not None:
            self.consumer.stop()
            await asyncio.to_thread(self.consumer.join, STOP_SECONDS)

    @mode.Service.task
    async def _watch(self) -> None:
        while not self.should_stop:
            await self.sleep(WATCH_SECONDS)
            if self.consumer is not None and self.consumer.failure is not None:
                await self.crash(self.consumer.failure)


class TaskService(mode.Service):
    """Runs one coroutine as long as the app; where it raises, the app crashes and so is seen."""

    def __init__(self, run: Callable[[], Awaitable[None]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._run = run

    @mode.Service.task
    async def _run_to_the_end(self) -> None:
        await self._run()


def new_app(name: str, handle: HandleBatch) -> tuple[StreamApp, Any]:
    """Make the app, with the one agent that handles batches, and the channel that feeds it."""
    app = StreamApp(
        name,
        broker="kafka://none",
        store="memory://",
        topic_disable_leader=True,
    )
    channel = app.channel(maxsize=1)

    async def handle_batches(runs: Any) -> None:
        async for run in runs:
            await run.work(handle)

    app.agent(channel, name=f"{name}.batches", concurrency=1)(handle_batches)
    return app, channel


def add_timer(app: StreamApp, name: str, interval_seconds: float, tick: Tick) -> None:
    """Have `tick` called every so often; `tick` must see to its own errors."""
    app.timer(interval_seconds, name=name, traced=False)(tick)
