"""All that the paths of staff look at: real servers behind them, and processes beside."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
from confluent_kafka import Consumer, TopicPartition

from services.enrollment.ingress.answers import Answers
from services.enrollment.ingress.app import new_app
from services.enrollment.ingress.freshness import Freshness
from services.enrollment.ingress.known import Known
from services.enrollment.ingress.log_ends import LogEnds
from services.enrollment.ingress.monitored import Monitored
from services.enrollment.ingress.operators_trail import OperatorsTrail
from services.enrollment.ingress.peers import Peers
from services.enrollment.ingress.request_queue import RequestQueue
from services.enrollment.ingress.routes.idempotency import idempotency_router
from services.enrollment.ingress.routes.queue import queue_router
from services.enrollment.ingress.routes.sagas import saga_router
from services.enrollment.ingress.tests.processes import Peer
from services.enrollment.ingress.tests.signing import STAFF_SCOPE, access, bearer, signed
from services.enrollment.ingress.view.reader import View
from shared.breaker import Breaker, BreakerPolicy
from shared.cache import Cache
from shared.clock import system_clock
from shared.database import Database
from shared.retry import is_database_outage
from shared.tests.machinery import Servers, eventually, new_topic, unique, url_of

POLICY = BreakerPolicy(failure_threshold=3, recovery_seconds=30, success_threshold=2)
STUCK_AGE_SECONDS = 60.0


@dataclass
class System:
    """What a test moves, and the client that looks at it."""

    database: Database
    cache: Cache
    answers: Answers
    queue: RequestQueue
    kafka_url: str
    topic: str
    group: str
    client: httpx.AsyncClient
    now: datetime = field(default_factory=system_clock)

    async def ask(
        self, method: str, path: str, *, token: str | None = None, **options: Any
    ) -> httpx.Response:
        """Ask as staff, or with another token."""
        authorization = bearer(token or signed(sub="ann@uni", scope=STAFF_SCOPE))
        return await self.client.request(
            method, path, headers={"Authorization": authorization}, **options
        )

    async def get(self, path: str, **options: Any) -> Any:
        """Ask for something that there is."""
        answer = await self.ask("GET", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @asynccontextmanager
    async def looking_at_the_queue(self) -> AsyncIterator[None]:
        """Let the queue of requests be known during the block."""
        looking = asyncio.create_task(self.queue.watch())
        await eventually(lambda: self.queue.is_known)
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.wait([looking])

    def commit(self, offset: int) -> None:
        """Commit as the reader of requests would."""
        reader = Consumer(
            {"bootstrap.servers": self.kafka_url, "group.id": self.group, "log_level": 2}
        )
        places = [TopicPartition(self.topic, 0, offset)]
        reader.commit(offsets=places, asynchronous=False)
        reader.close()


@asynccontextmanager
async def watched(
    servers: Servers,
    database: Database,
    redis_url: str,
    prefix: str,
    workers: tuple[Peer, ...] = (),
    database_url: str | None = None,
) -> AsyncIterator[System]:
    """Put everything together; `workers` listen where they are told to."""
    reading = Database(database_url or url_of(database), application_name="test")
    own = Peer("ingress", "database", "kafka")
    guard = Breaker("http.database", POLICY, timeout_seconds=0.5, is_failure=is_database_outage)
    redis_guard = Breaker("http.redis", POLICY, timeout_seconds=0.25)
    own.breakers |= {one.name: one for one in (guard, redis_guard)}
    view = View(reading, guard)
    cache = Cache(redis_url, redis_guard)
    answers = Answers(cache, prefix=prefix, default_ttl_seconds=600, ttl_seconds={})
    topic, group = new_topic(servers.kafka_url), unique("group")
    queue = RequestQueue(servers.kafka_url, topic=topic, group=group)
    monitored = Monitored(
        access=access(),
        view=view,
        known=Known(view, Freshness(LogEnds(servers.kafka_url, [topic]), view.positions)),
        answers=answers,
        queue=queue,
        peers=Peers(",".join(one.url for one in workers), own.admin),
        trail=OperatorsTrail(reading, system_clock, 1.0),
        clock=lambda: system.now,
        stuck_age_seconds=STUCK_AGE_SECONDS,
    )
    routers = [queue_router(monitored), saga_router(monitored), idempotency_router(monitored)]
    transport = httpx.ASGITransport(new_app(routers))
    client = httpx.AsyncClient(transport=transport, base_url="http://ingress")
    system = System(database, cache, answers, queue, servers.kafka_url, topic, group, client)
    async with client:
        yield system
    await cache.close()
    await reading.close()
