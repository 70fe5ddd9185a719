"""Whole stories leave the same rows in the real PostgreSQL and in the simulated one."""

import pytest

from services.simulation.tests.contracts.conftest import open_postgres
from services.simulation.tests.contracts.stories import Story, contents
from shared.choreography import Service
from shared.tests.lending import Lender

STEPS = 100


@pytest.mark.parametrize("seed", [1, 3])
@pytest.mark.parametrize("service", Service)
async def test_the_same_story_is_told_by_both(
    databases: Lender, service: Service, seed: int
) -> None:
    async with (
        open_postgres(databases, service) as real,
        open_postgres(None, service) as simulated,
    ):
        for number, step in enumerate(Story(service, seed).steps(STEPS)):
            told = await step(real)
            assert await step(simulated) == told, f"step {number}: {step}"

        left = await contents(real)
        assert await contents(simulated) == left
        assert left["audit"], "no operator has done anything"
        assert real.new_event_id().int > 10, "next to nothing was said"
