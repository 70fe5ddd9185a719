"""Watches beside the load: the processes that bear it, and the outcomes of what was accepted."""

import asyncio
from array import array
from collections.abc import Sequence
from time import perf_counter
from typing import Final

import psutil

from loadtests.day.collector import AwaitedOutcomes, Collector
from loadtests.day.lag import Lag

READ_SECONDS: Final = 0.004  # how often outcomes are read, and so how much later each may look
MEMORY_SECONDS: Final = 0.5
REQUESTS_MAX: Final = 2_000_000  # more than any of this sends
MEGABYTE: Final = 1_000_000


class Outcomes:
    """Reads the outcomes of the load while the loop goes on."""

    def __init__(self, kafka_url: str) -> None:
        self._awaited = AwaitedOutcomes(REQUESTS_MAX)
        self._collector = Collector(kafka_url, self._awaited)
        self._lag = Lag(kafka_url)
        self.accepted = 0

    def expect(self, number: int, enrollment_id: str) -> None:
        """Say which enrollment a request is about."""
        self.accepted += 1
        self._awaited.expect(number, enrollment_id)

    @property
    def decided_at(self) -> "array[float]":
        """Give when each request was decided, by its number; 0 where it has not been."""
        return self._awaited.decided_at

    @property
    def undecided(self) -> int:
        """Count the accepted requests that have no outcome."""
        return self.accepted - self._awaited.decided

    @property
    def lag(self) -> int | None:
        """Count the messages that the services have yet to read, when last asked."""
        return self._lag.messages

    def decided_between(self, begin: float, end: float, requests: int) -> int:
        """Count the outcomes of the first requests that came in a time."""
        return sum(begin <= moment < end for moment in self.decided_at[:requests])

    async def read_for_ever(self) -> None:
        """Take what comes."""
        while True:
            self._collector.read(0.0)
            await asyncio.sleep(READ_SECONDS)

    async def drained(self, seconds_max: float) -> float | None:
        """Wait until all is decided and the lag is 0; give how long that took, or None."""
        began = perf_counter()
        while self.undecided or self.lag != 0:
            if perf_counter() - began > seconds_max:
                return None
            await asyncio.sleep(MEMORY_SECONDS)
        return perf_counter() - began

    def close(self) -> None:
        """Leave Kafka."""
        self._collector.close()
        self._lag.close()


class Ingresses:
    """The processes of the ingresses: how much memory they have, and what they compute."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._processes = [psutil.Process(pid) for pid in pids]
        self._most_mb = 0.0

    def memory_mb(self) -> float:
        """Give the resident megabytes of all together."""
        return round(sum(one.memory_info().rss for one in self._processes) / MEGABYTE, 1)

    def take_most_mb(self) -> float:
        """Give the most since the last time."""
        most_mb, self._most_mb = max(self._most_mb, self.memory_mb()), 0.0
        return most_mb

    def cpu_seconds(self) -> float:
        """Give what they have computed since they began."""
        times = [one.cpu_times() for one in self._processes]
        return sum(one.user + one.system for one in times)

    async def watch_for_ever(self) -> None:
        """Look at the memory every so often."""
        while True:
            self._most_mb = max(self._most_mb, self.memory_mb())
            await asyncio.sleep(MEMORY_SECONDS)
