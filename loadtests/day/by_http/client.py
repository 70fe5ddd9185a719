"""Asks as students' programs do: on time, over few connections, and again when told to wait."""

import asyncio
import random
from array import array
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final

import aiohttp

from loadtests.day.by_http.answers import (
    RETRY_SECONDS_UNSAID,
    Answer,
    AnswerLog,
    read_answer,
)
from loadtests.day.by_http.asks import Ask

PATH: Final = "/enrollments"
ATTEMPTS_MAX: Final = 30
CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 30.0
KEEP_ALIVE_SECONDS: Final = 15.0  # less than servers', so that none closes what we use
OUTSTANDING_MAX: Final = 20_000  # requests under way or waiting for their repeat
YIELD_EVERY: Final = 50
JITTER: Final = 0.25  # those who were refused together do not come back together

OnAccepted = Callable[[int, str], None]


def new_session(connections: int) -> aiohttp.ClientSession:
    """Open a pool of at most so many connections, which are kept and used again."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=connections, limit_per_host=0, keepalive_timeout=KEEP_ALIVE_SECONDS
        ),
        # No limit in all: a wait for a connection of our own is no fault of the server's.
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_SECONDS, sock_read=ANSWER_SECONDS
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept-Encoding"),
    )


class Client:
    """Sends each request once, and again with the same key as long as it is told to wait.

    `started_at` says from when the time of each counts: at a rate, from its place in the schedule.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        urls: Sequence[str],
        asks: Sequence[Ask],
        log: AnswerLog,
        on_accepted: OnAccepted,
    ) -> None:
        self._session = session
        self._urls = [url + PATH for url in urls]
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
        ask = self._asks[number]
        url = self._urls[(number + attempt) % len(self._urls)]
        try:
            async with self._session.post(url, data=ask.body, headers=ask.headers) as response:
                body = await response.read()
                return read_answer(response.status, body, response.headers.get("Retry-After"))
        except (aiohttp.ClientError, TimeoutError) as error:
            return Answer(None, type(error).__name__)


async def _sleep_until(due_at: float, number: int) -> None:
    wait_seconds = due_at - perf_counter()
    if wait_seconds > 0:
        await asyncio.sleep(wait_seconds)
    elif number % YIELD_EVERY == 0:  # behind: what is under way must go on all the same
        await asyncio.sleep(0)
