"""Polling with a bound: tests wait for what they need to see, never for a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import pytest

POLL_SECONDS = 0.03
PATIENCE_SECONDS = 30.0
OUTAGES = (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError)

T = TypeVar("T")


async def eventually(
    what: str, look: Callable[[], Awaitable[T | None]], seconds: float = PATIENCE_SECONDS
) -> T:
    """Look until there is something to see; a database that is down has nothing to show."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = await look()
        except OUTAGES:
            found = None
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:.0f} s in vain: {what}")
        await asyncio.sleep(POLL_SECONDS)
