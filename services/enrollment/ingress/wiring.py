"""Wires the ingress: the only place where its parts meet."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

import mode
from fastapi import FastAPI

from services.enrollment.ingress.acceptance import Acceptance
from services.enrollment.ingress.access import Access, keys_of
from services.enrollment.ingress.answers import Answers
from services.enrollment.ingress.app import new_app
from services.enrollment.ingress.connections import Overload
from services.enrollment.ingress.correlation import Answered
from services.enrollment.ingress.freshness import Freshness
from services.enrollment.ingress.http_metrics import HttpMetrics
from services.enrollment.ingress.http_server import HttpServer, connection_limits, guarded
from services.enrollment.ingress.known import Known
from services.enrollment.ingress.log_ends import LogEnds
from services.enrollment.ingress.monitored import Monitored
from services.enrollment.ingress.operators_trail import OperatorsTrail
from services.enrollment.ingress.peers import Peers
from services.enrollment.ingress.probing import Probe, probe_for_ever
from services.enrollment.ingress.publishing import Publisher, ingress_producer_settings
from services.enrollment.ingress.quotas import Bucket, Quotas
from services.enrollment.ingress.request_queue import RequestQueue
from services.enrollment.ingress.routes.enrollments import EnrollmentPaths, enrollment_router
from services.enrollment.ingress.routes.events import EventPaths, event_router
from services.enrollment.ingress.routes.health import HealthPaths, Life, Phase, health_router
from services.enrollment.ingress.routes.idempotency import idempotency_router
from services.enrollment.ingress.routes.problems import problem_router
from services.enrollment.ingress.routes.queue import queue_router
from services.enrollment.ingress.routes.sagas import saga_router
from services.enrollment.ingress.routes.sections import SectionPaths, section_router
from services.enrollment.ingress.settings import IngressSettings
from services.enrollment.ingress.shedding import Shedding
from services.enrollment.ingress.shortcut import Shortcut
from services.enrollment.ingress.view.model import State
from services.enrollment.ingress.view.parts import NAME, view_parts, view_topics
from services.enrollment.ingress.view.reader import View
from services.enrollment.ingress.watching import Watch
from shared.breaker import Breaker, BreakerPolicy, every_exception
from shared.cache import Cache
from shared.clock import system_clock
from shared.database import Database
from shared.identifiers import new_event_id
from shared.process import Process
from shared.retry import is_database_outage
from shared.streams import TaskService

HTTP_POOL_SIZE: Final = 8
NEVER: Final = 2**62  # failures that open a breaker which is turned off


def build(settings: IngressSettings) -> Process[State]:
    """Build the process; nothing connects before it runs."""
    process = Process(view_parts(settings), settings)
    Ingress(process, settings).join()
    return process


class Ingress:
    """What the process that keeps the view has beside it, to serve HTTP."""

    def __init__(self, process: Process[State], settings: IngressSettings) -> None:
        self._process = process
        self._settings = settings
        self._life = Life()
        self._metrics = HttpMetrics(process.instruments.metrics)
        self._keys = keys_of(settings)
        self._access = Access(settings, self._keys)
        self._database = Database(
            settings.database_url,
            application_name=f"{NAME}-http-{settings.instance}",
            pool_size=HTTP_POOL_SIZE,
        )
        process.pools["http"] = self._database
        self._database_breaker = self._breaker(
            "database",
            settings.database_policy,
            settings.database_timeout_seconds,
            is_database_outage,
        )
        self._redis_breaker = self._breaker(
            "redis", settings.redis_policy, settings.redis_timeout_seconds
        )
        self._kafka_breaker = self._breaker(
            "kafka", settings.kafka_policy, settings.kafka_timeout_seconds + 1.0
        )
        self._cache = Cache(settings.redis_url.get_secret_value(), self._redis_breaker)
        self._answers = Answers(
            self._cache,
            prefix=settings.idempotency_key_prefix,
            default_ttl_seconds=settings.idempotency_default_ttl,
            ttl_seconds=settings.idempotency_ttl,
            is_enabled=settings.enable_idempotency,
            looked_up=self._metrics.looked_up,
        )
        self._view = View(self._database, self._database_breaker)
        topics = [topic.name for topic in view_topics()]
        self._freshness = Freshness(
            LogEnds(settings.kafka_bootstrap_servers, topics), self._view.positions
        )
        self._known = Known(self._view, self._freshness)
        self._watch = Watch(self._view, settings.streams_max)
        self._queue = RequestQueue(settings.kafka_bootstrap_servers)
        self._publisher = Publisher(
            ingress_producer_settings(
                settings.kafka_bootstrap_servers, settings.kafka_timeout_seconds
            ),
            new_event_id,
        )

        self._acceptance = self._new_acceptance()
        self._shedding = Shedding(self._acceptance.overload, settings.shed_lag_seconds)

    def _breaker(
        self,
        dependency: str,
        policy: BreakerPolicy,
        timeout_seconds: float,
        is_failure: Callable[[BaseException], bool] = every_exception,
    ) -> Breaker:
        """Make a breaker for the calls of HTTP requests, and show it among the process's own."""
        if not self._settings.enable_circuit_breakers:
            policy = replace(policy, failure_threshold=NEVER)
        name = f"http.{dependency}"
        breaker = Breaker(
            name,
            policy,
            timeout_seconds=timeout_seconds,
            is_failure=is_failure,
            on_change=self._process.instruments.breaker_changed,
        )
        self._process.breakers[name] = breaker
        self._process.instruments.breaker_made(name)
        return breaker

    def join(self) -> None:
        """Have everything run with the process; HTTP comes last, and ends first."""
        for run in (
            self._keys.run,
            self._queue.watch,
            self._freshness.run,
            self._shedding.run,
            partial(probe_for_ever, self._probes()),
        ):
            self._process.app.supervise(TaskService(run))
        self._process.app.supervise(_Publishing(self._publisher))
        self._process.app.supervise(
            _Closing(self._watch.stop, self._cache.close, self._database.close)
        )
        server = self._http_server()
        self._metrics.show(
            self._freshness, self._queue, self._watch, lambda: server.connection_count
        )
        self._process.app.supervise(server)

    def _probes(self) -> list[Probe]:
        async def of_kafka() -> None:
            await self._kafka_breaker.call_async(self._publisher.probe)

        return [
            Probe(self._database_breaker, self._view.totals),
            Probe(self._redis_breaker, self._cache.ping),
            Probe(self._kafka_breaker, of_kafka),
        ]

    def _http_server(self) -> HttpServer:
        settings, answered = self._settings, self._metrics.answered
        shortcut = Shortcut(self.app(), enrollment_router(self._enrollment_paths()))
        return _Serving(
            self._life,
            guarded(shortcut, settings, answered),
            settings.http_host,
            settings.http_port,
            connection_limits(settings),
            overload=self._shedding,
            answered=answered,
        )

    def app(self) -> FastAPI:
        """Make the application; nothing connects before the process runs."""
        monitored = self._monitored()
        return new_app(
            [
                enrollment_router(self._enrollment_paths()),
                event_router(EventPaths(self._access, self._known, self._watch)),
                section_router(SectionPaths(self._access, self._view, self._known)),
                queue_router(monitored),
                saga_router(monitored),
                idempotency_router(monitored),
                health_router(self._health_paths()),
                problem_router(),
            ]
        )

    def _new_acceptance(self) -> Acceptance:
        settings = self._settings
        return Acceptance(
            publisher=self._publisher,
            kafka_breaker=self._kafka_breaker,
            answers=self._answers,
            quotas=Quotas(
                self._cache,
                student=Bucket(settings.quota_student_per_second, settings.quota_student_burst),
                client=Bucket(settings.quota_client_per_second, settings.quota_client_burst),
            ),
            view=self._view,
            queue=self._queue,
            shed_age_seconds=settings.shed_age_seconds,
            clock=system_clock,
        )

    def _enrollment_paths(self) -> EnrollmentPaths:
        return EnrollmentPaths(
            self._access,
            self._acceptance,
            self._known,
            self._watch,
            self._settings,
            self._process.tracing,
        )

    def _monitored(self) -> Monitored:
        return Monitored(
            access=self._access,
            view=self._view,
            known=self._known,
            answers=self._answers,
            queue=self._queue,
            peers=Peers(self._settings.admin_peers, self._process.admin),
            trail=OperatorsTrail(
                self._database, system_clock, self._settings.database_timeout_seconds
            ),
            clock=system_clock,
            stuck_age_seconds=self._settings.stuck_age_seconds,
        )

    def _health_paths(self) -> HealthPaths:
        return HealthPaths(
            life=self._life,
            queue=self._queue,
            is_database_up=lambda: self._process.instruments.database_is_up,
            breakers=self._process.breakers,
            metrics=self._process.instruments.exposition,
        )


class _Serving(HttpServer):
    """The HTTP server, which tells load balancers in which phase the process is."""

    def __init__(self, life: Life, *arguments: Any, overload: Overload, answered: Answered) -> None:
        super().__init__(*arguments, overload=overload, answered=answered)
        self._life = life

    async def on_start(self) -> None:
        """Listen, and say that requests may come."""
        await super().on_start()
        self._life.phase = Phase.SERVING

    async def on_stop(self) -> None:
        """Say that nobody else may come, and end."""
        self._life.phase = Phase.STOPPING
        await super().on_stop()


class _Publishing(mode.Service):
    """Starts the publisher, and lets it end what is on its way."""

    def __init__(self, publisher: Publisher) -> None:
        super().__init__()
        self._publisher = publisher

    async def on_start(self) -> None:
        """Connect."""
        self._publisher.start()

    async def on_stop(self) -> None:
        """Wait for what is on its way."""
        await self._publisher.stop()


class _Closing(mode.Service):
    """Closes connections when the process stops."""

    def __init__(self, *closing: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._closing = closing

    async def on_stop(self) -> None:
        """Close them, one after the other."""
        for close in self._closing:
            await close()
