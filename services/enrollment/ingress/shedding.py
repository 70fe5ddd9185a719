"""Sends requests away before they cost anything, while those who came before wait too long."""

import asyncio
from collections.abc import Callable
from typing import Final

from services.enrollment.ingress.limits import WATCHED_PATHS
from services.enrollment.ingress.problems import Problem, ProblemType

BEAT_SECONDS: Final = 0.02
RETRY_SECONDS: Final = 1
ENROLLMENTS: Final = "/enrollments"


class Shedding:
    """Tells who is sent away: by how late the event loop is, and by what waits in the queue.

    A loop that is late answers all requests late, and lets every time-out of theirs run out: the
    breakers would then open for dependencies that are well. How many are at work tells nothing of
    it, for that depends on how much of a processor there is.
    """

    def __init__(self, queued: Callable[[], Problem | None], lag_seconds_max: float) -> None:
        self._queued = queued  # gives a problem while requests for sections are not taken
        self._late = Problem(ProblemType.OVERLOADED, retry_after_seconds=RETRY_SECONDS)
        self._lag_seconds_max = lag_seconds_max
        self.lag_seconds = 0.0

    async def run(self) -> None:
        """Note how late the event loop is, until cancelled.

        Of two beats the lesser counts: others may have had the processor during one of them.
        """
        loop = asyncio.get_running_loop()
        before_seconds = 0.0
        while True:
            due_at = loop.time() + BEAT_SECONDS
            await asyncio.sleep(BEAT_SECONDS)
            late_seconds = loop.time() - due_at
            self.lag_seconds = min(before_seconds, late_seconds)
            before_seconds = late_seconds

    def __call__(self, method: str, path: str) -> Problem | None:
        """Give the problem that is all that this request gets, or None.

        Many get the same object, so that its answer is made once: it is never raised.
        """
        if self.lag_seconds > self._lag_seconds_max and not path.startswith(WATCHED_PATHS):
            return self._late
        if method == "POST" and path.startswith(ENROLLMENTS):
            return self._queued()
        return None
