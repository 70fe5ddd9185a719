"""The clients of the ingress, on a thread of their own: they ask on schedule, and repeat."""

import asyncio
import json
import random
import threading
from collections.abc import Callable, Coroutine, Sequence
from time import time
from typing import Any, Final, assert_never

import aiohttp

from loadtests.chaos.by_http.asks import Act, Ask
from loadtests.chaos.by_http.log import Answer, HttpLog, Try, said_by
from loadtests.chaos.client import ClientError
from loadtests.chaos.workload import TERM

ANSWER_SECONDS: Final = 10.0  # what has no answer by then is lost
LOST_PAUSE_SECONDS: Final = 0.2  # and twice as long each time, up to the longest
LOST_PAUSE_SECONDS_MAX: Final = 2.0
JITTER: Final = 0.25  # those who were refused together do not come back together
ATTEMPTS_MAX: Final = 500
CLOSE_SECONDS: Final = 20.0
UNTIL_STOPPED_SECONDS: Final = 0.05
HUNG_UP: Final = "hung up"

Sign = Callable[[str], str]


class HttpClient(threading.Thread):
    """Asks for everything at its time, counted from the start, and again until it is answered.

    A repeat goes to the next ingress. Its thread alone touches the log until it has ended.
    """

    def __init__(self, urls: Sequence[str], asks: Sequence[Ask], sign: Sign) -> None:
        super().__init__(name="http-client", daemon=True)
        self.log = HttpLog(len(asks))
        self.failure: BaseException | None = None
        self.is_done = False
        self.unanswered = len(asks)
        self._urls = urls
        self._asks = asks
        self._tokens = {student: sign(student) for student in {one.student_id for one in asks}}
        self._stopping = threading.Event()
        self._is_closing = threading.Event()

    def run(self) -> None:
        """Ask until all is answered, or until stopped."""
        try:
            asyncio.run(self._ask_all())
        except Exception as error:  # noqa: BLE001  kept for whoever waits for this thread
            self.failure = error

    def send_no_more(self) -> None:
        """Leave out what has not been asked, and go on with what has."""
        self._is_closing.set()

    def stop(self) -> HttpLog:
        """End, and give the log."""
        self._stopping.set()
        self.join(CLOSE_SECONDS)
        self.raise_if_failed()
        if self.is_alive():
            raise ClientError(f"the clients of HTTP do not end within {CLOSE_SECONDS:.0f} s")
        return self.log

    def raise_if_failed(self) -> None:
        """Tell what ended it early."""
        if self.failure is not None:
            raise ClientError(f"the clients of HTTP failed: {self.failure!r}") from self.failure

    def news(self) -> str:
        """Say how far it is."""
        return f"http: {len(self.log.tries):,} tries, {self.unanswered:,} not answered"

    async def _ask_all(self) -> None:
        async with _new_session() as session:
            everything = asyncio.create_task(self._all(session))
            while not everything.done() and not self._stopping.is_set():
                await asyncio.wait([everything], timeout=UNTIL_STOPPED_SECONDS)
            everything.cancel()
            await asyncio.wait([everything])
            if not everything.cancelled():
                everything.result()
                self.is_done = True

    async def _all(self, session: aiohttp.ClientSession) -> None:
        teller = _Teller(session, self._urls, self._tokens, self.log)
        began_at = time()
        async with asyncio.TaskGroup() as group:
            for number, ask in enumerate(self._asks):
                await asyncio.sleep(max(0.0, began_at + ask.at_seconds - time()))
                if self._is_closing.is_set():
                    self._leave_out(number)
                    break
                group.create_task(self._one(teller.ask(number, ask)))

    def _leave_out(self, first: int) -> None:
        """Forget the asks from this one on."""
        self.unanswered -= self.log.asks - first
        self.log.asks = first

    async def _one(self, asking: Coroutine[Any, Any, None]) -> None:
        await asking
        self.unanswered -= 1


def _new_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


class _Teller:
    """Sends each ask as often as it takes."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        urls: Sequence[str],
        tokens: dict[Any, str],
        log: HttpLog,
    ) -> None:
        self._session = session
        self._urls = urls
        self._tokens = tokens
        self._log = log
        self._accepted: dict[int, asyncio.Future[str]] = {}

    async def ask(self, number: int, ask: Ask) -> None:
        path = await self._path(ask)
        for attempt in range(ATTEMPTS_MAX):
            url = self._urls[(number + attempt) % len(self._urls)]
            sent_at = time()
            answer = await self._send(url + path, ask, attempt)
            self._log.tries.append(Try(number, ask, attempt, url + path, sent_at, time(), answer))
            if answer.status == 202 and answer.location and ask.act is Act.ENROLL:
                self._note_accepted(ask.request, answer.location)
            if not answer.asks_again:
                return
            await asyncio.sleep(_pause_seconds(answer, attempt))

    async def _path(self, ask: Ask) -> str:
        match ask.act:
            case Act.ENROLL:
                return "/enrollments"
            case Act.CANCEL | Act.LOOK:
                return await self._location(ask.request)
            case never:
                assert_never(never)

    def _location(self, request: int) -> "asyncio.Future[str]":
        return self._accepted.setdefault(request, asyncio.get_running_loop().create_future())

    def _note_accepted(self, request: int, location: str) -> None:
        if not self._location(request).done():
            self._location(request).set_result(location)

    async def _send(self, url: str, ask: Ask, attempt: int) -> Answer:
        hangs_up_after = ask.hangs_up_after if attempt == 0 else None
        try:
            async with asyncio.timeout(hangs_up_after):
                return await self._exchange(url, ask)
        except TimeoutError as error:
            return Answer(None, type(error).__name__ if hangs_up_after is None else HUNG_UP)
        except aiohttp.ClientError as error:
            return Answer(None, type(error).__name__)

    async def _exchange(self, url: str, ask: Ask) -> Answer:
        async with self._session.request(
            _METHODS[ask.act], url, headers=self._headers(ask), data=_body(ask)
        ) as response:
            body = await response.read()
            return Answer(
                response.status,
                said_by(response.status, body),
                body,
                response.headers.get("Location"),
                response.headers.get("Retry-After"),
                response.headers.get("Idempotency-Replayed") == "true",
            )

    def _headers(self, ask: Ask) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self._tokens[ask.student_id]}"}
        if ask.act is Act.ENROLL:
            headers["Content-Type"] = "application/json"
        return headers if ask.key is None else {**headers, "Idempotency-Key": ask.key}


_METHODS: Final = {Act.ENROLL: "POST", Act.CANCEL: "DELETE", Act.LOOK: "GET"}


def _body(ask: Ask) -> bytes | None:
    if ask.act is not Act.ENROLL:
        return None
    return json.dumps({"term": TERM, "sections": ask.sections}).encode()


def _pause_seconds(answer: Answer, attempt: int) -> float:
    """Wait as long as one is told, or else longer each time."""
    told = answer.retry_after
    unsaid = min(LOST_PAUSE_SECONDS_MAX, LOST_PAUSE_SECONDS * 2 ** min(attempt, 10))
    seconds = float(told) if told is not None and told.isdecimal() else unsaid
    return seconds * random.uniform(1, 1 + JITTER)
