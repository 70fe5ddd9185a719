"""Transactions commit, roll back and are cancelled; broken connections are not lent again."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.database import Database
from shared.retry import is_transient_database_error
from shared.tests.machinery import proxied, rolled_back, rows_of, url_of, value_of

INSERT = "INSERT INTO consumer_offset VALUES ('t', $1, 0)"
LOST = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
COUNT = "SELECT count(*) FROM consumer_offset"


@pytest.fixture
async def database(enrollment_database: Database) -> Database:
    return enrollment_database


async def terminate(database: Database, *pids: int) -> None:
    driver = await asyncpg.connect(url_of(database))
    try:
        await driver.execute("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid", pids)
    finally:
        await driver.close()


async def test_a_transaction_commits_at_its_end(database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.execute(INSERT, 1)
        assert await value_of(database, COUNT) == 0

    assert await value_of(database, COUNT) == 1


async def test_a_transaction_rolls_back_on_an_error(database: Database) -> None:
    async with rolled_back(database) as transaction:
        await transaction.execute(INSERT, 1)

    assert await value_of(database, COUNT) == 0


async def test_a_transaction_rolls_back_when_its_task_is_cancelled(database: Database) -> None:
    inside = asyncio.Event()

    async def work() -> None:
        async with database.transaction() as transaction:
            await transaction.execute(INSERT, 1)
            inside.set()
            await transaction.execute("SELECT pg_sleep(20)")

    task = asyncio.create_task(work())
    await inside.wait()
    await asyncio.sleep(0.05)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert await value_of(database, COUNT) == 0


async def test_sqlalchemys_queries_and_copy_run_in_the_same_transaction(database: Database) -> None:
    async with rolled_back(database) as transaction:
        columns = ("topic", "partition", "next_offset")
        await transaction.copy("consumer_offset", columns, [("t", 1, 0)])
        await transaction.connection.execute(text("INSERT INTO consumer_offset VALUES ('t', 2, 0)"))
        counted = await transaction.connection.execute(text(COUNT))
        assert counted.scalar_one() == 2

    assert await value_of(database, COUNT) == 0


async def test_a_connection_lost_in_a_transaction_is_an_outage_and_the_next_one_works(
    database: Database,
) -> None:
    async def work() -> None:
        async with database.transaction() as transaction:
            await transaction.execute(INSERT, 1)
            pid = (await transaction.fetch("SELECT pg_backend_pid() AS pid"))[0]["pid"]
            await terminate(database, pid)
            await transaction.execute(INSERT, 2)

    with pytest.raises(LOST) as caught:
        await work()

    assert is_transient_database_error(caught.value)
    assert await value_of(database, COUNT) == 0


async def test_after_one_broken_connection_no_idle_one_is_trusted(database: Database) -> None:
    pids: set[int] = set()

    async def occupy(barrier: asyncio.Barrier) -> None:
        async with database.transaction() as transaction:
            pids.add((await transaction.fetch("SELECT pg_backend_pid() AS pid"))[0]["pid"])
            await barrier.wait()

    barrier = asyncio.Barrier(3)
    await asyncio.gather(*(occupy(barrier) for _ in range(3)))
    await terminate(database, *pids)
    await asyncio.sleep(0.1)

    with pytest.raises(LOST):
        await rows_of(database, COUNT)

    assert len(pids) == 3
    for _ in range(3):
        assert await value_of(database, COUNT) == 0


async def test_a_connection_whose_rollback_was_interrupted_is_not_lent_again(
    database: Database,
) -> None:
    async def work() -> None:
        async with database.session() as (_, driver):
            await driver.execute("BEGIN")
            await driver.execute("INSERT INTO consumer_offset VALUES ('t', 1, 0)")
            raise asyncio.CancelledError  # and so no ROLLBACK

    with pytest.raises(asyncio.CancelledError):
        await work()

    await rows_of(database, INSERT, 1)
    assert await value_of(database, COUNT) == 1


async def test_an_outage_shows_as_one_and_ends_without_a_restart(database: Database) -> None:
    async with proxied(database) as (proxy, url):
        through = Database(url, application_name="test")
        await through.ping()
        await proxy.cut()

        with pytest.raises(LOST) as idle:
            await through.ping()
        with pytest.raises(ConnectionRefusedError) as refused:
            await through.ping()
        await proxy.open()

        await through.ping()
        await through.close()
    assert is_transient_database_error(idle.value)
    assert is_transient_database_error(refused.value)


async def test_a_server_that_says_goodbye_and_is_still_connected_is_an_outage_too(
    database: Database,
) -> None:
    async with proxied(database, goodbye_seconds=0.3) as (_, url):
        through = Database(url, application_name="test")
        pid = await value_of(through, "SELECT pg_backend_pid()")
        await terminate(database, int(str(pid)))
        await asyncio.sleep(0.1)

        with pytest.raises(asyncpg.InternalClientError) as caught:
            await through.ping()

        await asyncio.sleep(0.4)
        with suppress(*LOST):
            await through.ping()
        await through.ping()
        await through.close()
    assert is_transient_database_error(caught.value)


async def test_every_session_has_the_limits_that_a_killed_process_needs(
    database: Database,
) -> None:
    wanted = {
        "application_name": "test",
        "client_connection_check_interval": "1s",
        "enable_seqscan": "off",
        "idle_in_transaction_session_timeout": "30s",
        "lock_timeout": "10s",
        "statement_timeout": "30s",
    }

    found = {name: await value_of(database, f"SHOW {name}") for name in wanted}

    assert found == wanted


async def test_times_are_read_with_their_zone(database: Database) -> None:
    when = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)

    assert await value_of(database, "SELECT $1::timestamptz", when) == when


async def test_an_error_does_not_tell_what_was_to_be_stored(database: Database) -> None:
    words = "my mother is ill"

    with pytest.raises(DBAPIError) as refused:
        async with database.engine.connect() as connection:
            await connection.execute(text("SELECT length(:words) / 0"), {"words": words})

    assert "division by zero" in str(refused.value)
    assert words not in str(refused.value)
