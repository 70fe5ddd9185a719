"""What is left when a server dies: shown on a real PostgreSQL of its own, and on the simulated one.

A backend that is killed takes all others and the shared memory with it, and the server starts
again from what it had written.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from signal import SIGKILL
from typing import Any, cast

import asyncpg
import pytest

import services.capacity
from deploy.local import ports, postgres, postgres_home
from deploy.local.processes import stop
from deploy.local.servers import external_urls, wait_until_ready
from deploy.local.supervised import Supervised
from services.simulation.tests.contracts.conftest import open_postgres
from services.simulation.tests.contracts.making import NOW, rejected, section, validated
from services.simulation.tests.contracts.postgres import PATIENCE_SECONDS, Postgres, Session
from services.simulation.tests.contracts.real_postgres import RealPostgres
from services.simulation.tests.contracts.test_locks import reserved
from shared.choreography import Service
from shared.database import Database, migrate
from shared.message import Emitted
from shared.retry import is_database_outage

# What a commit does not write down is not written down by anybody else meanwhile.
SLOW = ("wal_writer_delay = '10s'", "autovacuum = off")
NUMBERS = count(1)
CHECKPOINTER = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"


class MortalPostgres(RealPostgres):
    """A database whose server dies of a crash, and starts again by itself."""

    async def crash(self) -> None:
        before = await self._checkpointer()
        async with self._database.session() as (_, driver):
            os.kill(await driver.fetchval("SELECT pg_backend_pid()"), SIGKILL)
        await self._database.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self._checkpointer() in (None, before):  # it may answer, not knowing yet
                await asyncio.sleep(0.02)

    async def _checkpointer(self) -> int | None:
        """Give its pid, which tells one start of the server from another."""
        try:
            async with self._database.session() as (_, driver):
                return cast("int | None", await driver.fetchval(CHECKPOINTER))
        except Exception as error:
            if not is_database_outage(error):
                raise
            return None


@pytest.fixture(scope="module")
def mortal_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a server that may be killed; skips where the machine's are used."""
    if external_urls():
        pytest.skip("the servers are not ours to kill")
    directory = tmp_path_factory.mktemp("mortal").resolve()
    spec = postgres.prepare(directory, ports.keep_or_choose(postgres.PORT_NAMES, {}), fsync=False)
    server = Supervised(spec, is_held=lambda: False)
    try:
        wait_until_ready([server], lambda: None)
        yield spec.url
    finally:
        stop([server.child] if server.child is not None else [])
        postgres_home.wipe(directory)


@pytest.fixture(params=["simulated", "real"])
async def capacity(request: Any) -> AsyncIterator[Postgres]:
    """A fresh database of the capacity service, whose server may die."""
    if request.param == "simulated":
        async with open_postgres(None, Service.CAPACITY) as simulated:
            yield simulated
        return
    url = await make_database(request.getfixturevalue("mortal_server"))
    database = Database(url, application_name="test")
    mortal = MortalPostgres(Service.CAPACITY, database)
    yield mortal
    await mortal.close()
    await database.close()


async def make_database(admin_url: str) -> str:
    name = f"mortal_{next(NUMBERS)}"
    connection = await asyncpg.connect(admin_url)
    try:
        for setting in SLOW:
            await connection.execute(f"ALTER SYSTEM SET {setting}")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    url = admin_url.removesuffix("/postgres") + f"/{name}"
    await migrate(url, Path(str(services.capacity.__file__)).parent / "migrations")
    return url


async def emit(session: Session, *names: str) -> None:
    events = [Emitted(rejected(validated(student=name)), None) for name in names]
    await session.do(session.unit.emit(events, NOW))


async def say(postgres: Postgres, *names: str) -> None:
    session = await postgres.begin()
    await emit(session, *names)
    await session.commit()


async def waiting(postgres: Postgres) -> list[str]:
    return [row.key for row in await postgres.outbox()]


async def delete(postgres: Postgres, *ids: int) -> None:
    relay = await postgres.lease()
    await relay.delete(ids)
    await relay.leave()


async def test_what_is_committed_outlives_the_server_and_what_is_open_does_not(
    capacity: Postgres,
) -> None:
    await capacity.take(section("A"))
    await capacity.take(validated("A"))
    session = await capacity.begin()
    await session.react(validated("A"))

    await capacity.crash()

    assert is_database_outage(await session.fail())
    assert reserved(await capacity.load(validated("A")), "A") == 1


async def test_what_the_relay_has_deleted_is_back_where_nothing_was_committed_after_it(
    capacity: Postgres,
) -> None:
    await say(capacity, "1", "2", "3")
    await delete(capacity, 1, 3)
    assert await waiting(capacity) == ["2"]

    await capacity.crash()

    assert await waiting(capacity) == ["1", "2", "3"]


async def test_neither_a_look_nor_a_rollback_makes_a_deletion_last(capacity: Postgres) -> None:
    await say(capacity, "1", "2")
    await delete(capacity, 1)
    await capacity.load(validated("A"))
    session = await capacity.begin()
    await emit(session, "3")
    await session.roll_back()

    await capacity.crash()

    assert await waiting(capacity) == ["1", "2"]


async def test_a_commit_makes_the_deletions_before_it_last_and_not_those_after_it(
    capacity: Postgres,
) -> None:
    await say(capacity, "1", "2")
    await delete(capacity, 1)
    await say(capacity, "3")
    await delete(capacity, 2)

    await capacity.crash()

    assert await waiting(capacity) == ["2", "3"]


async def test_after_a_crash_ids_go_on_above_all_that_were_given(capacity: Postgres) -> None:
    for name in "123":
        await say(capacity, name)
        await capacity.crash()

    rows = await capacity.outbox()

    assert [row.key for row in sorted(rows, key=lambda row: row.id)] == ["1", "2", "3"]
    assert len({row.id for row in rows}) == 3
