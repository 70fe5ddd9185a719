"""Builds a service's process from its parts: the one place where the machinery is wired."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial
from typing import Any, Final, Generic, TypeVar

import uvloop
from pydantic import ValidationError

from shared import catalogs, inbox, logs, offsets
from shared.admin import AdminServer
from shared.batch_spans import BatchSpans, Untraced
from shared.breaker import DATABASE_POLICY, KAFKA_POLICY, Breaker, BreakerOpen, BreakerState
from shared.clock import system_clock
from shared.codec import describe, interest_in
from shared.consumer import BatchConsumer
from shared.consumer_settings import consumer_settings
from shared.database import Database, migrate
from shared.event_loop import measure_delay
from shared.gates import Gates
from shared.identifiers import PartitionKey, new_event_id
from shared.instruments import Instruments
from shared.looks import LOOK_AT_TRANSACTIONS, Looking
from shared.outbox_spans import TracedPublisher
from shared.parts import Parts, Resources, Tick, Timer, looking_timer
from shared.process_gauges import show_consumer, show_relay, show_spans
from shared.producer import BatchProducer
from shared.reaction import OpenUnit, State
from shared.relay import Relay, lease
from shared.retry import is_database_outage, is_transient_database_error
from shared.settings import ServiceSettings
from shared.streams import (
    ConsumerService,
    EventLoopDesk,
    StreamApp,
    TaskService,
    add_timer,
    new_app,
)
from shared.tracing import Tracing, exporter_of
from shared.unit import units
from shared.unowned import OwnerWatch
from shared.worker import Handled, Worker

Settings = TypeVar("Settings", bound=ServiceSettings)

LOGGER: Final = logging.getLogger(__name__)
PROBE_SECONDS: Final = 1.0
TRANSACTION_SECONDS: Final = 35.0  # longer than the database's own limits
FLUSH_SECONDS: Final = 2.0
MAINTENANCE_SECONDS: Final = 3600.0
GC_ALLOCATIONS: Final = 50_000


class Process(Generic[State]):
    """A service's process, built and not started."""

    def __init__(self, parts: Parts[State], settings: ServiceSettings) -> None:
        self._parts = parts
        self._settings = settings
        self.gates = Gates()
        self.instruments = Instruments(parts.name, settings.instance, system_clock)
        self.tracing = Tracing(
            parts.name,
            settings.instance,
            sample_ratio=settings.trace_sample_ratio,
            exporter=exporter_of(),
        )
        show_spans(self.instruments.metrics, self.tracing)
        self.database = Database(
            settings.database_url, application_name=f"{parts.name}-{settings.instance}"
        )
        self.pools = {"service": self.database}
        self.instruments.show_pools(self.pools)
        looks = (*parts.looks, LOOK_AT_TRANSACTIONS)
        self._looking = [Looking(look, self.instruments.metrics) for look in looks]
        self._database_breaker = self._breaker("database")
        self._kafka_breaker = self._breaker("kafka")
        self.breakers: dict[str, Breaker] = {
            "database": self._database_breaker,
            "kafka": self._kafka_breaker,
        }
        self._relay = Relay(
            partial(lease, self.database, self._database_breaker),
            self._new_publisher,
            kafka_breaker=self._kafka_breaker,
            batch_size_max=settings.relay_batch_size_max,
            on_published=self.instruments.count_published,
        )
        self._owners = OwnerWatch(
            settings.kafka_bootstrap_servers,
            parts.name,
            [topic.name for topic in parts.topics],
            is_wanted=lambda: self._relay.holds_lease,
        )
        self._resources = Resources(
            self.database,
            self.gates,
            self._relay,
            system_clock,
            new_event_id,
            self.instruments,
            self.tracing,
        )
        self.app = self._build_app()

    def _new_publisher(self) -> TracedPublisher:
        source = f"/services/{self._parts.name}"
        producer = BatchProducer(self._settings.kafka_bootstrap_servers, source)
        return TracedPublisher(producer, self.tracing)

    def _breaker(self, name: str) -> Breaker:
        """Consumers, relays and timers probe every second, whatever HTTP calls do."""
        self.instruments.breaker_made(name)
        is_database = name == "database"
        policy = DATABASE_POLICY if is_database else KAFKA_POLICY
        return Breaker(
            name,
            policy.probing_every(PROBE_SECONDS),
            timeout_seconds=TRANSACTION_SECONDS if is_database else FLUSH_SECONDS,
            is_failure=is_database_outage if is_database else lambda _error: True,
            on_change=self.instruments.breaker_changed,
        )

    def _build_app(self) -> StreamApp:
        parts, settings = self._parts, self._settings
        open_unit: OpenUnit[State] = units(self.database, parts.load, parts.save, new_event_id)
        worker = Worker(
            open_unit,
            parts.reactions,
            system_clock,
            database_breaker=self._database_breaker,
            on_handled=self._on_handled,
            uses_inbox=parts.uses_inbox,
            parks_unreadable=parts.parks_unreadable,
            new_trace=partial(BatchSpans, self.tracing, parts.name)
            if parts.is_traced
            else Untraced,
        )
        app, channel = new_app(f"{parts.name}-{settings.instance}", worker.handle)
        self._consumer = ConsumerService(lambda: self._new_consumer(channel))
        self.admin = AdminServer(
            settings.admin_host,
            settings.admin_port,
            checks=self._checks,
            details=self._details,
            metrics=self.instruments.exposition,
            breakers=self.breakers,
        )
        app.supervise(self.admin)
        app.supervise(TaskService(self._relay.run))
        app.supervise(self._consumer)
        app.supervise(TaskService(self._read_catalogs_first))
        app.supervise(TaskService(self._owners.watch))
        app.supervise(TaskService(partial(measure_delay, self.instruments.loop_delays)))
        for timer in (*parts.timers, *self._own_timers()):
            add_timer(
                app, timer.name, timer.interval_seconds, self._guarded(timer.name, timer.tick)
            )
        catalogs.close_until_read(self.gates, self._parts.topics)
        show_consumer(self.instruments.metrics, lambda: self._consumer.consumer, self.gates)
        show_relay(self.instruments.metrics, self._relay, self._owners)
        return app

    async def _on_handled(self, handled: Handled) -> None:
        self.instruments.batch_handled(handled)
        if handled.folded.emitted:
            self._relay.wake()
        if self._parts.after_batch is not None:
            await self._guarded("after batch", self._parts.after_batch)()

    def _new_consumer(self, channel: Any) -> BatchConsumer:
        settings = self._settings
        desk = EventLoopDesk(channel, asyncio.get_running_loop(), self._read_offsets, self.gates)
        return BatchConsumer(
            consumer_settings(
                settings.kafka_bootstrap_servers,
                self._parts.name,
                settings.instance,
                settings.session_timeout_seconds,
            ),
            [topic.name for topic in self._parts.topics],
            desk,
            interest_in=partial(
                interest_in,
                wanted=self._parts.reactions.keys(),
                patient=self._parts.patient,
            ),
            batch_size_max=settings.batch_size_max,
            interval_seconds_max=settings.batch_interval_seconds_max,
        )

    async def _read_offsets(self) -> dict[PartitionKey, int]:
        async with self.database.transaction() as transaction:
            return await offsets.read(transaction)

    async def _read_catalogs_first(self) -> None:
        await catalogs.open_when_read(
            self.gates,
            self._parts.topics,
            self._settings.kafka_bootstrap_servers,
            self._read_offsets,
        )

    def _guarded(self, name: str, tick: Tick) -> Callable[[], Awaitable[None]]:
        """An outage ends a tick, not the timer; any other error crashes the app, and is seen."""

        async def guarded() -> None:
            try:
                await self._database_breaker.call_async(tick, self._resources)
            except BreakerOpen:
                LOGGER.debug("%s waits for the database", name)
            except Exception as error:
                if not is_transient_database_error(error):
                    raise
                LOGGER.warning("%s waits for the database: %r", name, error)

        return guarded

    def _own_timers(self) -> tuple[Timer, ...]:
        return (
            Timer("probe", PROBE_SECONDS, self._probe),
            Timer("inbox-partitions", MAINTENANCE_SECONDS, renew_inbox),
            *(looking_timer(one) for one in self._looking),
        )

    async def _probe(self, resources: Resources) -> None:
        """See whether the database answers, and how much waits there."""
        try:
            await resources.instruments.read_database(resources.database, resources.clock())
        except Exception:
            resources.instruments.database_is_up = False
            raise
        if self._consumer.consumer is not None:
            resources.instruments.lag = self._consumer.consumer.lag()

    def _checks(self) -> dict[str, bool]:
        consumer = self._consumer.consumer
        return {
            "database": self._is_database_up(),
            "group_joined": consumer is not None and consumer.has_joined,
            "catalogs_read": not self.gates.is_closed_for(catalogs.REASON),
            "kafka": not self._kafka_breaker.is_open,
        }

    def _is_database_up(self) -> bool:
        """The probe alone would not tell: it rests while others' failures keep the breaker open."""
        state = self._database_breaker.snapshot().state
        return self.instruments.database_is_up and state is BreakerState.CLOSED

    def _details(self) -> dict[str, Any]:
        consumer = self._consumer.consumer
        out_of_range = consumer.out_of_range() if consumer is not None else []
        waiting = self.instruments.waiting_lately() if self._is_database_up() else None
        return {
            "service": self._parts.name,
            "instance": self._settings.instance,
            "relays": self._relay.holds_lease,
            "waiting": None if waiting is None else asdict(waiting),  # None: not known now
            "closed_topics": sorted(self.gates.closed_topics()),
            "out_of_range": [f"{key.topic}/{key.partition}" for key in out_of_range],
            "lag": {f"{k.topic}/{k.partition}": n for k, n in self.instruments.lag.items()},
        }

    async def prepare(self) -> None:
        """Bring the schema up to date; waits for the database."""
        while True:
            try:
                await migrate(self._settings.database_url, self._parts.versions)
                await renew_inbox(self._resources)
                break
            except Exception as error:
                if not is_transient_database_error(error):
                    raise
                LOGGER.warning("the schema waits for the database: %r", error)
                await asyncio.sleep(PROBE_SECONDS)

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT; give the exit code, 1 where the app has crashed."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        await _first_of(stopping.wait(), self.prepare())
        crash = None if stopping.is_set() else await self._serve(stopping)
        await self.database.close()
        await asyncio.to_thread(self.tracing.close)
        return 0 if crash is None else 1

    async def _serve(self, stopping: asyncio.Event) -> BaseException | None:
        try:
            await self.app.start()
        except Exception as error:  # noqa: BLE001  such as: another listens where it would
            crash: BaseException | None = error
        else:
            _calm_garbage_collection()
            await _first_of(stopping.wait(), self.app.wait_until_stopped())
            crash = self.app.crash_reason
        if crash is not None:
            LOGGER.error("crashed", exc_info=crash)
        await self.app.stop()
        return crash


async def renew_inbox(resources: Resources) -> None:
    """Make the inbox's coming partitions and drop the old ones."""
    async with resources.database.transaction() as transaction:
        await inbox.renew_partitions(transaction, resources.clock())


def _calm_garbage_collection() -> None:
    """Batches make many objects and no cycles: look through the heap seldom, not at the code."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 20)


async def _first_of(*waits: Awaitable[object]) -> None:
    """Wait until one has ended, and raise what it raised; the others are cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    ended, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for task in ended:
        task.result()


def load_settings(settings_type: type[Settings]) -> Settings:
    """Read the settings, and set logging up; a bad value ends the start with a sentence each."""
    try:
        settings = settings_type()
        exporter_of()  # what is wrong with OpenTelemetry's variables is said here, too
    except ValueError as error:
        problems = describe(error) if isinstance(error, ValidationError) else [str(error)]
        for problem in problems:
            sys.stderr.write(f"setting {problem}\n")
        sys.exit(2)
    logs.set_up(
        settings.service,
        settings.instance,
        settings.log_level,
        is_structured=settings.structured_logging,
    )
    return settings


def run_process(process: Process[State]) -> int:
    """Run a process on uvloop; blocks until it ends, and gives its exit code."""
    return uvloop.run(process.run())
