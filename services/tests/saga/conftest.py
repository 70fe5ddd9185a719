"""One real stack for all of these tests: three services, Kafka, and PostgreSQL with fsync."""

from collections.abc import AsyncIterator

import pytest

from services.tests.saga.client import Saga, running


@pytest.fixture(scope="package")
async def saga(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Saga]:
    """The running saga; when the last test has ended, all that ever happened is audited."""
    async with running(tmp_path_factory.mktemp("saga"), environment={}) as started:
        yield started
