"""A service's process: starts, tells how it is, waits for its database, and stops when told."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from prometheus_client.parser import text_string_to_metric_families

from shared.choreography import Service, subscriptions
from shared.database import Database
from shared.relay import LEASE_LOCK
from shared.tests.machinery import (
    Servers,
    ends_of,
    eventually,
    proxied,
    rows_of,
    unique,
    url_of,
    value_of,
)

FAR_AHEAD = "INSERT INTO consumer_offset VALUES ('enrollment.events', 0, 1000000000)"
ROOT = Path(__file__).parents[2]
BACKENDS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'capacity-%'
"""
OUTBOX_ROW = """
INSERT INTO outbox (event_id, event_type, topic, key, subject, occurred_at, body)
VALUES (gen_random_uuid(), 'Odd', 'capacity.events', 'S', 'x', now() - interval '1 minute', '{}')
"""
DEAD_LETTER = """
INSERT INTO dead_letter (topic, partition, "offset", headers, reason, detail, holds, parked_at)
VALUES ('enrollment.events', 0, 0, '[]', 'unreadable', '', false, now())
"""

BEGINNING = "INSERT INTO consumer_offset (topic, partition, next_offset) VALUES ($1, $2, $3)"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def directories_left(temporary: Path) -> list[Path]:
    """Name what Faust would make for its tables, where there or here."""
    return [*temporary.iterdir(), *ROOT.glob("capacity-*")]


class Running:
    """A process of the capacity service, and what its admin server says."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port

    async def get(self, path: str) -> tuple[int, str]:
        """Ask; 0 where nobody listens."""
        limit = aiohttp.ClientTimeout(total=3)
        try:
            async with (
                aiohttp.ClientSession(timeout=limit) as session,
                session.get(f"http://127.0.0.1:{self.port}{path}") as answer,
            ):
                return answer.status, await answer.text()
        except (OSError, aiohttp.ClientError, TimeoutError):
            return 0, ""

    async def health(self) -> dict[str, Any]:
        _, body = await self.get("/health/ready")
        found: dict[str, Any] = json.loads(body) if body else {}
        return found

    async def until(self, says: Callable[[dict[str, Any]], bool], seconds: float = 30) -> None:
        async def is_so() -> bool:
            assert self.process.returncode is None, "the process has ended"
            return says(await self.health())

        await eventually(is_so, seconds)

    async def metrics(self) -> dict[tuple[str, str], float]:
        """Give each value by its name, and those of its labels."""
        _, body = await self.get("/metrics")
        return {
            (sample.name, " ".join(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(body)
            for sample in family.samples
        }

    async def until_metric(self, name: str, is_so: Callable[[float | None], bool]) -> None:
        """Wait until a metric without labels, None while it is not shown, is so."""

        async def look() -> bool:
            return is_so((await self.metrics()).get((name, "")))

        await eventually(look, 30, name)

    async def breakers(self) -> dict[str, dict[str, Any]]:
        _, body = await self.get("/breakers")
        found: dict[str, dict[str, Any]] = json.loads(body)
        return found

    async def until_breaker(self, name: str, state: str) -> None:
        async def is_so() -> bool:
            return bool((await self.breakers())[name]["state"] == state)

        await eventually(is_so)

    async def until_ready(self) -> None:
        await self.until(lambda health: health.get("ready") is True)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int | None, float]:
        """Tell it to stop; give its exit code, and how long that took."""
        began = time.monotonic()
        self.process.send_signal(number)
        await asyncio.wait_for(self.process.wait(), 20)
        return self.process.returncode, time.monotonic() - began


@asynccontextmanager
async def capacity(kafka_url: str, database_url: str, **settings: str) -> AsyncIterator[Running]:
    """Run the service as operators do; killed at the end if it still runs."""
    port = free_port()
    environment = {
        "DATABASE_URL": database_url,
        "KAFKA_BOOTSTRAP_SERVERS": kafka_url,
        "ADMIN_PORT": str(port),
        "INSTANCE": unique("slot"),
        "SESSION_TIMEOUT_SECONDS": "6",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.capacity",
        cwd=ROOT,
        env={**os.environ, **environment, **settings},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Running(process, port)
    finally:
        if process.returncode is None:
            process.kill()
        await asyncio.wait_for(process.communicate(), 10)


async def test_a_process_becomes_ready_tells_how_it_is_and_stops_when_told(
    servers: Servers, capacity_database: Database, tmp_path: Path
) -> None:
    url = url_of(capacity_database)
    async with capacity(servers.kafka_url, url, TMPDIR=str(tmp_path)) as running:
        await running.until_ready()

        health = await running.health()
        live = await running.get("/health/live")
        status, metrics = await running.get("/metrics")
        listening = {
            connection.laddr.ip
            for connection in psutil.Process(running.process.pid).net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
        code, seconds = await running.stop()

    assert live == (200, '{"live": true}')
    assert (health["service"], health["closed_topics"], health["out_of_range"]) == (
        "capacity",
        [],
        [],
    )
    assert status == 200
    for name in ("outbox_depth ", "outbox_oldest_seconds ", 'dead_letters{reason="held"} '):
        assert name in metrics
    assert listening == {"127.0.0.1"}
    assert code == 0
    assert seconds < 10
    assert await value_of(capacity_database, BACKENDS) == 0
    assert directories_left(tmp_path) == []


async def test_a_process_starts_before_its_database_and_is_ready_when_that_comes(
    servers: Servers, capacity_database: Database
) -> None:
    async with proxied(capacity_database) as (proxy, url):
        await proxy.cut()
        async with capacity(servers.kafka_url, url) as running:
            await asyncio.sleep(1.5)
            assert (await running.health()).get("ready") is not True
            assert running.process.returncode is None
            await proxy.open()
            await running.until_ready()

            await proxy.cut()
            await running.until(lambda health: health["checks"]["database"] is False)
            await proxy.open()
            await running.until_ready()
            code, seconds = await running.stop()

    assert code == 0
    assert seconds < 10


async def test_a_process_ends_where_another_listens_on_its_port(
    servers: Servers, capacity_database: Database
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        url = url_of(capacity_database)
        async with capacity(servers.kafka_url, url, ADMIN_PORT=port) as running:
            _, said = await asyncio.wait_for(running.process.communicate(), 60)

    assert running.process.returncode == 1
    assert b"address already in use" in said


async def read_nothing_old(database: Database, kafka_url: str) -> None:
    """Let the service begin where the logs end now: what other tests have sent is not for it."""
    topics = [topic.name for topic in subscriptions(Service.CAPACITY)]
    for place, end in ends_of(kafka_url, topics).items():
        await rows_of(database, BEGINNING, place.topic, place.partition, end)


async def test_a_process_tells_what_waits_in_its_database(
    servers: Servers, capacity_database: Database
) -> None:
    await read_nothing_old(capacity_database, servers.kafka_url)
    async with capacity_database.session() as (_, relay):
        await relay.fetchval("SELECT pg_advisory_lock($1)", LEASE_LOCK)
        await rows_of(capacity_database, OUTBOX_ROW)
        await rows_of(capacity_database, DEAD_LETTER)
        async with capacity(servers.kafka_url, url_of(capacity_database)) as running:
            await running.until_ready()
            waiting = (await running.health())["waiting"]
            await rows_of(capacity_database, "DELETE FROM outbox")
            await running.until(lambda health: health["waiting"]["outbox_depth"] == 0)
            later = (await running.health())["waiting"]

    assert (waiting["outbox_depth"], waiting["dead_letters"]) == (1, 1)
    assert 60 <= waiting["outbox_oldest_seconds"] < 120
    assert later == {"outbox_depth": 0, "outbox_oldest_seconds": 0.0, "dead_letters": 1}


async def test_what_waits_is_not_known_while_the_question_for_it_hangs(
    servers: Servers, capacity_database: Database
) -> None:
    async with capacity(servers.kafka_url, url_of(capacity_database)) as running:
        await running.until_ready()
        async with capacity_database.transaction() as holder:
            await holder.execute("LOCK TABLE dead_letter IN ACCESS EXCLUSIVE MODE")
            await running.until(lambda health: health["waiting"] is None, 9)
            meanwhile = await running.health()
        await running.until(lambda health: health["waiting"] is not None)

    assert meanwhile["checks"]["database"] is True  # only the answer is missing


async def test_a_process_without_its_database_shows_an_open_breaker_and_knows_not_what_waits(
    servers: Servers, capacity_database: Database
) -> None:
    async with (
        proxied(capacity_database) as (proxy, url),
        capacity(servers.kafka_url, url) as running,
    ):
        await running.until_ready()
        before = await running.breakers()
        await running.until_metric("database_up", lambda up: up == 1)
        shown = await running.metrics()
        await proxy.cut()
        await running.until(lambda health: health["waiting"] is None)
        await running.until_breaker("database", "open")
        await running.until_metric("database_up", lambda up: up == 0)
        meanwhile = await running.metrics()
        kafka = (await running.breakers())["kafka"]["state"]
        await proxy.open()
        await running.until_breaker("database", "closed")

    assert {name: one["state"] for name, one in before.items()} == {
        "database": "closed",
        "kafka": "closed",
    }
    assert before["database"]["success_count"] > 0
    assert (shown["breaker_open", "database"], meanwhile["breaker_open", "database"]) == (0, 1)
    assert meanwhile["breaker_changes_total", "database closed open"] >= 1
    of_the_database = {("outbox_depth", ""), ("outbox_oldest_seconds", "")}
    assert of_the_database <= shown.keys()
    assert of_the_database.isdisjoint(meanwhile), "nobody knows them now"
    assert kafka == "closed"


async def test_an_open_transaction_and_an_old_snapshot_are_seen_whosever_they_are(
    servers: Servers, capacity_database: Database
) -> None:
    transactions, snapshots = (
        "database_oldest_transaction_seconds",
        "database_oldest_snapshot_seconds",
    )
    async with capacity(servers.kafka_url, url_of(capacity_database)) as running:
        await running.until_ready()
        async with capacity_database.transaction() as idle:
            await idle.execute("SELECT 1")
            await running.until_metric(transactions, lambda age: (age or 0) > 1)
            without_snapshot = (await running.metrics())[snapshots, ""]
        async with (
            capacity_database.session() as (_, driver),
            driver.transaction(isolation="repeatable_read"),
        ):
            await driver.fetch("SELECT 1")
            await running.until_metric(snapshots, lambda age: (age or 0) > 1)
        await running.until_metric(snapshots, lambda age: age is not None and age < 1)
        await running.until_metric(transactions, lambda age: age is not None and age < 1)

    assert without_snapshot < 1


async def test_a_partition_that_waits_for_an_operator_is_counted(
    servers: Servers, capacity_database: Database
) -> None:
    await rows_of(capacity_database, FAR_AHEAD)
    async with capacity(servers.kafka_url, url_of(capacity_database)) as running:
        await running.until(lambda health: bool(health.get("out_of_range")))
        await running.until_metric("partitions_out_of_range", lambda count: count == 1)
        await running.until_metric("partitions_owned", lambda count: (count or 0) > 1)


async def test_a_process_that_waits_for_its_database_stops_when_told(servers: Servers) -> None:
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"

    async with capacity(servers.kafka_url, nowhere) as running:
        assert running.process.stderr is not None
        async with asyncio.timeout(20):
            while b"waits for the database" not in await running.process.stderr.readline():
                pass
        code, seconds = await running.stop()

    assert code == 0
    assert seconds < 5


async def test_a_bad_setting_ends_the_start_with_a_sentence_for_each() -> None:
    async with capacity("127.0.0.1:1", "x", BATCH_SIZE_MAX="0", LOG_LEVEL="LOUD") as running:
        assert running.process.stderr is not None
        said = (await asyncio.wait_for(running.process.stderr.read(), 20)).decode()
        await asyncio.wait_for(running.process.wait(), 10)

    assert running.process.returncode == 2
    assert "setting batch_size_max: Input should be greater than or equal to 1\n" in said
    assert "setting log_level: " in said
    assert "Traceback" not in said


async def test_a_process_that_cannot_go_on_ends_with_a_code_that_says_so(
    servers: Servers, capacity_database: Database
) -> None:
    async with capacity(servers.kafka_url, url_of(capacity_database)) as running:
        await running.until_ready()
        await rows_of(capacity_database, "DROP TABLE outbox")
        _, said = await asyncio.wait_for(running.process.communicate(), 20)

    assert running.process.returncode == 1
    lines = [json.loads(line) for line in said.splitlines()]  # that is all it says
    assert {line["service"] for line in lines} == {"capacity"}
    [crash] = [line for line in lines if line["message"] == "crashed"]
    assert 'relation "outbox" does not exist' in crash["exception"]
