"""Bounds what requests may take of the ingress: the bytes of a body, and how many are at work."""

import re
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
    """Refuses requests while too many are at work: who comes later would only wait longer."""

    def __init__(self, app: ASGIApp, requests_max: int) -> None:
        self._app = app
        self._requests_max = requests_max
        self.at_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http" or scope["path"].startswith(WATCHED_PATHS):
            await self._app(scope, receive, send)
            return
        if self.at_work >= self._requests_max:
            await Problem(ProblemType.OVERLOADED).response()(scope, receive, send)
            return
        place = _Place(self)
        scope.setdefault("state", {})[STEP_ASIDE] = place.leave
        try:
            await self._app(scope, receive, send)
        finally:
            place.leave()


class _Place:
    """One request's place among those at work; it is given back once."""

    def __init__(self, owner: InFlight) -> None:
        self._owner = owner
        self._is_taken = True
        owner.at_work += 1

    def leave(self) -> None:
        if self._is_taken:
            self._is_taken = False
            self._owner.at_work -= 1


def step_aside(scope: Any) -> None:
    """Say that this request only waits from now on, and takes nobody's place.

    For streams, and for those who wait for an outcome: they are bounded by themselves.
    """
    leave = scope.get("state", {}).get(STEP_ASIDE)
    if leave is not None:
        leave()
