"""Bounds what requests may take of the ingress: the bytes of a body, and how many are at work."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.enrollment.ingress.problems import Problem, ProblemType

BATCH_PATH: Final = "/enrollments:batch"
WATCHED_PATHS: Final = ("/health/", "/metrics")  # must answer when nothing else does
STEP_ASIDE: Final = "step_aside"


@dataclass(frozen=True)
class BodyLimits:
    """The largest body that a path takes."""

    usual: int
    of_batch: int

    def of(self, path: str) -> int:
        """Give the largest body of this path."""
        return self.of_batch if path == BATCH_PATH else self.usual


class BodyLimit:
    """Refuses a body that is too large: by its declared length, or once it is."""

    def __init__(self, app: ASGIApp, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limits.of(scope["path"])
        if _declared(scope) > limit:
            await _too_large(limit).response()(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise _too_large(limit)  # the application's own handler answers it
            return message

        await self._app(scope, counted, send)


def _declared(scope: Scope) -> int:
    """Read Content-Length; the server has seen that it is a number."""
    found = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(found) if re.fullmatch(rb"\d{1,18}", found) else 0


def _too_large(limit: int) -> Problem:
    return Problem(ProblemType.BODY_TOO_LARGE, f"the body may have {limit} bytes at most")


class InFlight:
    """Refuses requests while too many are at work: who comes later would only wait longer.

    A request that waits for its client, to send its body or to take its answer, is not at work:
    else so many slow clients would keep everybody out.
    """

    def __init__(self, app: ASGIApp, requests_max: int) -> None:
        self._app = app
        self.requests_max = requests_max
        self.at_work = 0

    @property
    def is_full(self) -> bool:
        """Tell whether one more would be one too many."""
        return self.at_work >= self.requests_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http" or scope["path"].startswith(WATCHED_PATHS):
            await self._app(scope, receive, send)
            return
        if self.is_full:
            await Problem(ProblemType.OVERLOADED).response()(scope, receive, send)
            return
        place = _Place(self)
        scope.setdefault("state", {})[STEP_ASIDE] = place.step_aside

        async def received() -> Message:
            with place.left():
                message = await receive()
            if message["type"] == "http.request" and place.was_lost():
                raise Problem(ProblemType.OVERLOADED)  # the application's own handler answers it
            return message

        async def sent(message: Message) -> None:
            with place.left():
                await send(message)

        with place.taken():
            await self._app(scope, received, sent)


class _Place:
    """One request's place among those at work, as often as it is left and taken again."""

    def __init__(self, owner: InFlight) -> None:
        self._owner = owner
        self._is_aside = False
        self._waits = 1  # for the request to begin

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take it for the time of this block."""
        self._end_wait()
        try:
            yield
        finally:
            self._begin_wait()

    @contextmanager
    def left(self) -> Iterator[None]:
        """Leave it for the time of this block."""
        self._begin_wait()
        try:
            yield
        finally:
            self._end_wait()

    def was_lost(self) -> bool:
        """Tell whether too many others are at work since it was left."""
        return not self._is_aside and self._owner.at_work > self._owner.requests_max

    def step_aside(self) -> None:
        """Leave it for good."""
        self._begin_wait()
        self._is_aside = True

    def _begin_wait(self) -> None:
        if self._waits == 0 and not self._is_aside:
            self._owner.at_work -= 1
        self._waits += 1

    def _end_wait(self) -> None:
        self._waits -= 1
        if self._waits == 0 and not self._is_aside:
            self._owner.at_work += 1


def step_aside(scope: Any) -> None:
    """Say that this request only waits from now on, and takes nobody's place.

    For streams, and for those who wait for an outcome: they are bounded by themselves.
    """
    leave = scope.get("state", {}).get(STEP_ASIDE)
    if leave is not None:
        leave()
