"""The database of each service for the tests of the contract: simulated, then real."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from services.simulation.tests.contracts.postgres import Postgres
from services.simulation.tests.contracts.real_postgres import RealPostgres
from services.simulation.tests.contracts.simulated_postgres import SimulatedPostgres
from shared.choreography import Service
from shared.database import Database
from shared.tests.lending import Lender


@pytest.fixture(params=["simulated", "real"])
def real_or_not(request: Any) -> Lender | None:
    """What gives real databases, where they are wanted."""
    if request.param == "simulated":
        return None
    given: Lender = request.getfixturevalue("databases")
    return given


@pytest.fixture
async def enrollment(real_or_not: Lender | None) -> AsyncIterator[Postgres]:
    """An empty database of the enrollment service."""
    async with open_postgres(real_or_not, Service.ENROLLMENT) as postgres:
        yield postgres


@pytest.fixture
async def student(real_or_not: Lender | None) -> AsyncIterator[Postgres]:
    """An empty database of the student service."""
    async with open_postgres(real_or_not, Service.STUDENT) as postgres:
        yield postgres


@pytest.fixture
async def capacity(real_or_not: Lender | None) -> AsyncIterator[Postgres]:
    """An empty database of the capacity service."""
    async with open_postgres(real_or_not, Service.CAPACITY) as postgres:
        yield postgres


@asynccontextmanager
async def open_postgres(real: Lender | None, service: Service) -> AsyncIterator[Postgres]:
    """Open an empty database of a service: a real one where there is something to give it."""
    async with AsyncExitStack() as stack:
        if real is None:
            postgres: Postgres = SimulatedPostgres(service)
        else:
            database = Database(await real.make(service), application_name="test")
            stack.push_async_callback(database.close)
            postgres = RealPostgres(service, database)
        stack.push_async_callback(postgres.close)
        yield postgres
