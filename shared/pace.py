"""Tells how long a consumer waits for more before it begins a batch."""

from collections.abc import Callable
from typing import Final

SECONDS_PER_MESSAGE: Final = 0.0015
BURST_SECONDS: Final = 0.003  # a batch of the service before comes in parts, one a partition
REST_RATIO: Final = 4.0  # of what a batch took, to the next one's beginning
REST_SECONDS_MAX: Final = 0.3  # it may have taken long for other reasons than a busy machine


class Pace:
    """Keeps the beginnings of batches apart.

    Hardly at all when idle, the longer the more the last batch had. Every batch has its price,
    whatever is in it; without this, they come ever smaller until they fill the processor. A batch
    takes the longer, the more others have to do on the machine: they get their turn, too.
    """

    def __init__(self, interval_seconds_max: float, monotonic: Callable[[], float]) -> None:
        self._interval_seconds_max = interval_seconds_max
        self._monotonic = monotonic
        self._last_size = 0
        self._last_began_seconds = 0.0
        self._last_took_seconds = 0.0

    def begin(self, size: int) -> None:
        """Note that a batch of so many messages begins."""
        self._last_size, self._last_began_seconds = size, self._monotonic()

    def end(self) -> None:
        """Note that it has ended."""
        self._last_took_seconds = self._monotonic() - self._last_began_seconds

    def wait_seconds(self) -> float:
        """Tell how long to wait for more, once something has come."""
        since_seconds = self._monotonic() - self._last_began_seconds
        rest_seconds = min(REST_SECONDS_MAX, REST_RATIO * self._last_took_seconds)
        interval_seconds = max(self._interval_seconds_max, rest_seconds)
        wanted_seconds = max(BURST_SECONDS, interval_seconds - since_seconds)
        return min(wanted_seconds, self._last_size * SECONDS_PER_MESSAGE)
