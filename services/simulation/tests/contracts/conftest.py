"""The database of each service for the tests of the contract: simulated, then real."""

from collections.abc import AsyncIterator
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
    async for postgres in _open(real_databases, Service.ENROLLMENT):
        yield postgres


@pytest.fixture
async def student(real_databases: Databases | None) -> AsyncIterator[Postgres]:
    """A fresh database of the student service."""
    async for postgres in _open(real_databases, Service.STUDENT):
        yield postgres


@pytest.fixture
async def capacity(real_databases: Databases | None) -> AsyncIterator[Postgres]:
    """A fresh database of the capacity service."""
    async for postgres in _open(real_databases, Service.CAPACITY):
        yield postgres


async def _open(databases: Databases | None, service: Service) -> AsyncIterator[Postgres]:
    if databases is None:
        simulated = SimulatedPostgres(service)
        yield simulated
        await simulated.close()
        return
    database = Database(await databases.make(service), application_name="test")
    real = RealPostgres(service, database)
    yield real
    await real.close()
    await database.close()
