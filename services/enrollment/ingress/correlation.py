"""Ties a request to everything that is said about it: the correlation id, and a line in the log."""

import logging
import re
import time
from collections.abc import Callable
from typing import Final

import uuid_utils
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.enrollment.ingress.problems import PROBLEM, Problem, ProblemType
from shared.logs import CORRELATION_ID

LOGGER: Final = logging.getLogger(__name__)
HEADER: Final = "X-Correlation-ID"
HEADER_NAME: Final = HEADER.lower().encode()
CORRELATION: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
NO_ROUTE: Final = "none"  # the path may hold anything: only those of routes are logged


# Takes method, route, status (None: no answer), seconds, and the slug of a problem.
Answered = Callable[[str, str, int | None, float, str | None], None]


def not_counted(
    _method: str, _route: str, _status: int | None, _seconds: float, _problem: str | None
) -> None:
    """Count no answer."""


def correlation_of(headers: list[tuple[bytes, bytes]]) -> str:
    """Give the client's correlation id where it is one, or else a new one."""
    given = next((value for name, value in headers if name == HEADER_NAME), b"")
    if CORRELATION.fullmatch(given):
        return given.decode("ascii")
    return str(uuid_utils.uuid7())


class Correlation:
    """The outermost layer of the application: every answer leaves through it, and is logged."""

    def __init__(self, app: ASGIApp, answered: Answered = not_counted) -> None:
        self._app = app
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token = CORRELATION_ID.set(correlation_of(scope["headers"]))
        try:
            await self._handle(scope, receive, send)
        finally:
            CORRELATION_ID.reset(token)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.monotonic()
        status: int | None = None
        tag = (HEADER_NAME, (CORRELATION_ID.get() or "").encode())

        async def tagged(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), tag]
            await send(message)

        try:
            await self._app(scope, receive, tagged)
        except Problem as problem:
            if status is not None:
                raise
            await problem.response()(scope, receive, tagged)
        except ClientDisconnect:
            LOGGER.debug("the client has gone before its request was whole")
        except Exception as error:
            LOGGER.exception("a request has failed", extra={"route": _route_of(scope)})
            if status is None:
                await Problem(ProblemType.INTERNAL_ERROR).response()(scope, receive, tagged)
            elif status < ProblemType.INTERNAL_ERROR.status:  # cut off, or it would seem whole
                raise CutOffError from error
        finally:
            method, route, seconds = scope["method"], _route_of(scope), time.monotonic() - began
            self._answered(method, route, status, seconds, scope.get(PROBLEM))
            log_request(method, route, status, seconds)


class CutOffError(Exception):
    """The answer has begun and cannot be ended: its connection must be closed."""


def _route_of(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", NO_ROUTE))


def log_request(method: str, route: str, status: int | None, seconds: float) -> None:
    """Write a request's line: the route and not the path, for that and the query may tell ids."""
    extra = {"method": method, "route": route, "status": status}
    LOGGER.info("request", extra={**extra, "duration_seconds": round(seconds, 6)})
