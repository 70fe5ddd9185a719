"""Tries what has failed before: that it is back is noticed, and shown, also while nobody asks."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from shared.breaker import Breaker, BreakerOpen, BreakerState

LOGGER: Final = logging.getLogger(__name__)
PROBE_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Probe:
    """A breaker, and the cheapest call through it."""

    breaker: Breaker
    call: Callable[[], Awaitable[object]]

    @property
    def is_due(self) -> bool:
        """Tell whether the breaker waits for a call to prove that all is well again."""
        is_closed = self.breaker.snapshot().state is BreakerState.CLOSED
        return not is_closed and not self.breaker.is_open


async def probe_for_ever(probes: Sequence[Probe]) -> None:
    """Call, every second, through each breaker that waits for it; those that are closed rest."""
    while True:
        await asyncio.gather(*(_try(probe) for probe in probes if probe.is_due))
        await asyncio.sleep(PROBE_SECONDS)


async def _try(probe: Probe) -> None:
    try:
        await probe.call()
    except BreakerOpen:
        LOGGER.debug("somebody else tries %s", probe.breaker.name)
    except Exception as error:  # noqa: BLE001  whatever it is, the breaker has counted it
        LOGGER.info("%s is not back yet: %r", probe.breaker.name, error)
