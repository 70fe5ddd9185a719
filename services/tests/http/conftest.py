"""One real stack with an ingress for all of these tests, and a client of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from deploy.local import services
from deploy.local.services import Count
from deploy.local.state import Plan
from services.tests.http.client import HttpClient, http_client
from services.tests.http.collector import Collector, running_collector
from services.tests.http.scenario import Scenario
from services.tests.saga.client import Saga, running

PASSWORD = "secret-6f1d"  # of the databases, which ask for none, and of the collector

# Breakers that recover soon, since the tests wait for it; the defaults are tested elsewhere.
SOON = {
    "DATABASE_CIRCUIT_RECOVERY_TIMEOUT": "2",
    "REDIS_CIRCUIT_RECOVERY_TIMEOUT": "1",
    "KAFKA_CIRCUIT_RECOVERY_TIMEOUT": "1",
    "QUOTA_STUDENT_BURST": "1000",
    "SHED_AGE_SECONDS": "60",
    "TRACE_SAMPLE_RATIO": "0",  # those who look at traces ask for them
    "SHED_LAG_SECONDS": "10",  # the machine is busy with other things, too
}


@pytest.fixture(scope="package")
def runner() -> Iterator[asyncio.Runner]:
    """What runs coroutines for the steps of scenarios, which are plain functions."""
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="package")
def collector() -> Iterator[Collector]:
    """What takes the spans of all processes."""
    with running_collector() as running_one:
        yield running_one


@pytest.fixture(scope="package")
def saga(
    runner: asyncio.Runner, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Saga]:
    """The running saga; when the last test has ended, all that ever happened is audited."""
    plan = Plan(services=services.plan(Count(instances=1, ingresses=1)))
    state_dir = tmp_path_factory.mktemp("http")
    left = AsyncExitStack()
    environment = {
        **SOON,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "500",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={PASSWORD}",
        "PGPASSWORD": PASSWORD,
    }
    yield runner.run(
        left.enter_async_context(running(state_dir, environment=environment, plan=plan))
    )
    runner.run(left.aclose())


@pytest.fixture
async def http(saga: Saga) -> AsyncIterator[HttpClient]:
    """A client of its ingress, for tests that are coroutines."""
    async with http_client(saga.state_dir) as client:
        yield client


@pytest.fixture
def story(runner: asyncio.Runner, saga: Saga) -> Iterator[Scenario]:
    """A scenario, with a client of its own."""
    left = AsyncExitStack()
    client = runner.run(left.enter_async_context(http_client(saga.state_dir)))
    yield Scenario(saga, client)
    runner.run(left.aclose())
