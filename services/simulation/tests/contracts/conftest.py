"""The database of each service for the tests of the contract: simulated, then real."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from conftest import Databases
from services.simulation.tests.contracts.postgres import Postgres
from services.simulation.tests.contracts.real_postgres import RealPostgres
from services.simulation.tests.contracts.simulated_postgres import SimulatedPostgres
from shared.choreography import Service
from shared.database import Database


@pytest.fixture(params=["simulated", "real"])
def real_databases(request: Any) -> Databases | None:
    """What makes real databases, where they are wanted."""
    if request.param == "simulated":
        return None
    made: Databases = request.getfixturevalue("databases")
    return made


@pytest.fixture
async def enrollment(real_databases: Databases | None) -> AsyncIterator[Postgres]:
    """A fresh database of the enrollment service."""
    async with open_postgres(real_databases, Service.ENROLLMENT) as postgres:
        yield postgres


@pytest.fixture
async def student(real_databases: Databases | None) -> AsyncIterator[Postgres]:
    """A fresh database of the student service."""
    async with open_postgres(real_databases, Service.STUDENT) as postgres:
        yield postgres


@pytest.fixture
async def capacity(real_databases: Databases | None) -> AsyncIterator[Postgres]:
    """A fresh database of the capacity service."""
    async with open_postgres(real_databases, Service.CAPACITY) as postgres:
        yield postgres


@asynccontextmanager
async def open_postgres(databases: Databases | None, service: Service) -> AsyncIterator[Postgres]:
    """Open a fresh database of a service: a real one where there is something to make it."""
    async with AsyncExitStack() as stack:
        if databases is None:
            postgres: Postgres = SimulatedPostgres(service)
        else:
            database = Database(await databases.make(service), application_name="test")
            stack.push_async_callback(database.close)
            postgres = RealPostgres(service, database)
        stack.push_async_callback(postgres.close)
        yield postgres
