"""Measures how late the event loop is: whoever holds it up makes everybody wait."""

import asyncio
from typing import Final

from shared.metrics import Histogram

BEAT_SECONDS: Final = 0.1


async def measure_delay(delays: Histogram) -> None:
    """Note how late each beat comes, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due_at = loop.time() + BEAT_SECONDS
        await asyncio.sleep(BEAT_SECONDS)
        delays.record(max(0.0, loop.time() - due_at))
