"""A service's PostgreSQL: the pool, transactions for the hot path, and migrations."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, RowMapping, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

AnyRow = asyncpg.Record | RowMapping  # of the driver or of SQLAlchemy: read alike, by name

LOGGER: Final = logging.getLogger(__name__)
MIGRATION_LOCK: Final = 5_201_845  # any number; one for all services, each in its own database
SHARED_MIGRATIONS: Final = Path(__file__).parent / "migrations"

# The hot path's plans are made on empty tables and kept: only an index may ever look good.
HOT_PATH_PLANNER: Final = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
# A killed process must not hold locks or the relay's lease: its backend notices within a second.
CONNECTION_LIMITS: Final = {
    "client_connection_check_interval": "1s",
    "idle_in_transaction_session_timeout": "30s",
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}


OVERFLOW: Final = 2  # connections beyond the pool's size, closed when they come back


class Transaction:
    """One open transaction: `connection` for SQLAlchemy's queries, the rest for the hot path."""

    def __init__(self, connection: AsyncConnection, driver: asyncpg.Connection) -> None:
        self.connection = connection
        self._driver = driver

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Run one statement and return its rows."""
        return await self._driver.fetch(sql, *arguments)

    async def execute(self, sql: str, *arguments: object) -> None:
        """Run one statement for its effect."""
        await self._driver.execute(sql, *arguments)

    async def write(self, sql: str, *arguments: object) -> int:
        """Run one INSERT, UPDATE or DELETE and count the rows that it wrote."""
        return int((await self._driver.execute(sql, *arguments)).rpartition(" ")[2])

    async def copy(
        self, table: str, columns: Sequence[str], records: Sequence[tuple[Any, ...]]
    ) -> None:
        """Append rows by COPY: the cheapest way in, where nothing can conflict."""
        await self._driver.copy_records_to_table(table, columns=list(columns), records=records)


class Database:
    """A pool of connections to one service's database; connects when first used.

    The engine is in autocommit so that asyncpg's transaction, which COPY needs, is the only one;
    SQLAlchemy's queries on the same connection run inside it.
    """

    def __init__(self, url: str, *, application_name: str, pool_size: int = 4) -> None:
        self.connections_max = pool_size + OVERFLOW
        settings = {"application_name": application_name} | HOT_PATH_PLANNER | CONNECTION_LIMITS
        self.engine: AsyncEngine = create_async_engine(
            async_url(url),
            isolation_level="AUTOCOMMIT",
            pool_size=pool_size,
            max_overflow=OVERFLOW,
            pool_use_lifo=True,  # the backend that was used last has everything at hand
            pool_timeout=5,
            pool_reset_on_return=None,
            hide_parameters=True,  # an error's text goes into logs, and they may be personal
            connect_args={"server_settings": settings, "timeout": 5, "command_timeout": 30},
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a transaction: commit at the end, roll back on an error or a cancellation."""
        async with self.session() as (connection, driver), driver.transaction():
            yield Transaction(connection, driver)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[tuple[AsyncConnection, asyncpg.Connection]]:
        """Lend a connection; a broken one, and every idle one with it, is not lent again."""
        async with self.engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            try:
                yield connection, cast("asyncpg.Connection", driver)
            finally:
                if driver.is_closed():
                    with suppress(DBAPIError):  # SQLAlchemy sees it, and trusts none as old
                        await connection.exec_driver_sql("SELECT 1")
                elif driver.is_in_transaction():  # its rollback was interrupted
                    await connection.invalidate()

    @property
    def connections_lent(self) -> int:
        """Count the connections that are lent now."""
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        return pool.checkedout()

    async def ping(self) -> None:
        """Raise unless the database answers."""
        async with self.session() as (_, driver):
            await driver.fetch("SELECT 1")

    async def close(self) -> None:
        """Close the pool."""
        await self.engine.dispose()


def async_url(url: str) -> str:
    """Take a PostgreSQL URL as operators write it and name the asyncpg driver in it."""
    return make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


async def migrate(url: str, versions: Path) -> None:
    """Bring the schema up to date; safe to run from several processes at once.

    A schema of a later version stays: migrations only add, so the version before runs on with it.
    Run it before the first connection of the pool: asyncpg keeps statements that DDL makes stale.
    """
    engine = create_async_engine(async_url(url), connect_args={"timeout": 5})
    try:
        async with engine.begin() as connection:
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK}
            )
            await connection.run_sync(_upgrade, versions)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, versions: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(SHARED_MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(versions))
    config.attributes["connection"] = connection
    known = ScriptDirectory.from_config(config).get_current_head()
    found = MigrationContext.configure(connection).get_current_revision()
    if is_later(found, known):
        LOGGER.warning("the schema is %s already, this version has %s", found, known)
    else:
        command.upgrade(config, "head")


def is_later(found: str | None, known: str | None) -> bool:
    """Tell whether a revision is one that the same service has made after the known one."""
    if found is None or known is None:
        return False
    (service, _, number), (own, _, latest) = found.rpartition("_"), known.rpartition("_")
    are_numbers = number.isdecimal() and latest.isdecimal()
    return service == own and are_numbers and int(number) > int(latest)
