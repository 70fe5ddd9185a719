"""The database of each service for the tests of the contract: simulated, then real."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

from conftest import Databases
from services.simulation.tests.contracts.postgres import Postgres
from services.simulation.tests.contracts.real_postgres import RealPostgres
from services.simulation.tests.contracts.simulated_postgres import SimulatedPostgres
from shared.choreography import Service
from shared.database import Database

DELETE_ALL = """
    SELECT string_agg('DELETE FROM ' || quote_ident(tablename), ';')
    FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'
"""
COUNT_ANEW = "SELECT setval(quote_ident(sequencename)::regclass, 1, false) FROM pg_sequences"


@dataclass(frozen=True)
class RealDatabases:
    """One database for each service, emptied for each test: to make that many takes longer."""

    databases: Databases
    urls: dict[Service, str] = field(default_factory=dict)

    async def give(self, service: Service) -> str:
        """Give the URL of an empty database."""
        if service not in self.urls:
            self.urls[service] = await self.databases.make(service)
        connection = await asyncpg.connect(self.urls[service])
        try:
            await connection.execute(await connection.fetchval(DELETE_ALL))
            await connection.execute(COUNT_ANEW)
        finally:
            await connection.close()
        return self.urls[service]


@pytest.fixture(scope="session")
def real_databases(databases: Databases) -> RealDatabases:
    """What gives real databases."""
    return RealDatabases(databases)


@pytest.fixture(params=["simulated", "real"])
def real_or_not(request: Any) -> RealDatabases | None:
    """What gives real databases, where they are wanted."""
    if request.param == "simulated":
        return None
    given: RealDatabases = request.getfixturevalue("real_databases")
    return given


@pytest.fixture
async def enrollment(real_or_not: RealDatabases | None) -> AsyncIterator[Postgres]:
    """An empty database of the enrollment service."""
    async with open_postgres(real_or_not, Service.ENROLLMENT) as postgres:
        yield postgres


@pytest.fixture
async def student(real_or_not: RealDatabases | None) -> AsyncIterator[Postgres]:
    """An empty database of the student service."""
    async with open_postgres(real_or_not, Service.STUDENT) as postgres:
        yield postgres


@pytest.fixture
async def capacity(real_or_not: RealDatabases | None) -> AsyncIterator[Postgres]:
    """An empty database of the capacity service."""
    async with open_postgres(real_or_not, Service.CAPACITY) as postgres:
        yield postgres


@asynccontextmanager
async def open_postgres(real: RealDatabases | None, service: Service) -> AsyncIterator[Postgres]:
    """Open an empty database of a service: a real one where there is something to give it."""
    async with AsyncExitStack() as stack:
        if real is None:
            postgres: Postgres = SimulatedPostgres(service)
        else:
            database = Database(await real.give(service), application_name="test")
            stack.push_async_callback(database.close)
            postgres = RealPostgres(service, database)
        stack.push_async_callback(postgres.close)
        yield postgres
