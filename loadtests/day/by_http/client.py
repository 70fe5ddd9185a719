"""Asks as students' programs do: on time, over few connections, and again when told to wait."""

import asyncio
import random
import re
from array import array
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final

from loadtests.day.by_http.answers import (
    RETRY_SECONDS_UNSAID,
    Answer,
    AnswerLog,
    read_answer,
)
from loadtests.plain_http.client import Address, PlainClient

RETRY_AFTER: Final = re.compile(rb"\r\nretry-after: *([^\r]+)", re.IGNORECASE)
ATTEMPTS_MAX: Final = 30
OUTSTANDING_MAX: Final = 20_000  # requests under way or waiting for their repeat
YIELD_EVERY: Final = 50
JITTER: Final = 0.25  # those who were refused together do not come back together

OnAccepted = Callable[[int, str], None]


class Client:
    """Sends each request once, and again with the same key as long as it is told to wait.

    `started_at` says from when the time of each counts: at a rate, from its place in the schedule.
    """

    def __init__(
        self,
        http: PlainClient,
        addresses: Sequence[Address],
        asks: Sequence[bytes],
        log: AnswerLog,
        on_accepted: OnAccepted,
    ) -> None:
        self._http = http
        self._addresses = addresses
        self._asks = asks
        self._log = log
        self._on_accepted = on_accepted
        self.started_at = array("d")

    @property
    def sent(self) -> int:
        """Count the requests that were begun."""
        return len(self.started_at)

    async def send_all(self, *, rate: float | None, connections: int) -> None:
        """Send everything on schedule; without a rate, as fast as the connections allow."""
        places = asyncio.Semaphore(connections if rate is None else OUTSTANDING_MAX)
        first_at = perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(len(self._asks)):
                await places.acquire()
                due_at = perf_counter() if rate is None else first_at + number / rate
                await _sleep_until(due_at, number)
                self.started_at.append(due_at)
                task = group.create_task(self._ask(number, due_at))
                task.add_done_callback(lambda _: places.release())

    async def _ask(self, number: int, began: float) -> None:
        for attempt in range(ATTEMPTS_MAX):
            answer = await self._post(number, attempt)
            self._log.note(number, answer, began, perf_counter())
            if answer.enrollment_id is not None:
                self._on_accepted(number, answer.enrollment_id)
            if not answer.asks_again:
                return
            pause_seconds = answer.retry_after_seconds or RETRY_SECONDS_UNSAID
            await asyncio.sleep(pause_seconds * random.uniform(1, 1 + JITTER))
            began = perf_counter()

    async def _post(self, number: int, attempt: int) -> Answer:
        """Ask once; a repeat goes to the next ingress, where there are several."""
        address = self._addresses[(number + attempt) % len(self._addresses)]
        try:
            answer = await self._http.ask(address, self._asks[number])
        except OSError as error:
            return Answer(None, type(error).__name__)
        return read_answer(answer.status, answer.body, _retry_after(answer.head))


def _retry_after(head: bytes) -> str | None:
    found = RETRY_AFTER.search(head)
    return found[1].decode() if found else None


async def _sleep_until(due_at: float, number: int) -> None:
    wait_seconds = due_at - perf_counter()
    if wait_seconds > 0:
        await asyncio.sleep(wait_seconds)
    elif number % YIELD_EVERY == 0:  # behind: what is under way must go on all the same
        await asyncio.sleep(0)
