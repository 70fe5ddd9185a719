"""The HTTP server: Uvicorn on the running event loop, started and stopped with the process."""

import asyncio
import logging
import resource
import socket
from functools import partial
from typing import Any, Final

import mode
from starlette.types import ASGIApp
from uvicorn import Config, Server
from uvicorn.lifespan.off import LifespanOff

from services.enrollment.ingress.connections import (
    ConnectionLimits,
    Connections,
    GuardedProtocol,
    Overload,
    never_overloaded,
)
from services.enrollment.ingress.correlation import Answered, Correlation, not_counted
from services.enrollment.ingress.limits import BodyLimit, BodyLimits, InFlight
from services.enrollment.ingress.problems import ProblemType
from services.enrollment.ingress.settings import IngressSettings

LOGGER: Final = logging.getLogger(__name__)
STOP_SECONDS: Final = 5
BACKLOG: Final = 2048
OTHER_FILES: Final = 512  # that the process has open besides connections


def connection_limits(settings: IngressSettings) -> ConnectionLimits:
    """Give the limits on connections."""
    return ConnectionLimits(
        header_bytes_max=settings.header_bytes_max,
        body_bytes_max=body_limits(settings).of,
        request_read_seconds=settings.request_read_seconds,
        keep_alive_seconds=settings.keep_alive_seconds,
        connections_max=settings.connections_max,
    )


def body_limits(settings: IngressSettings) -> BodyLimits:
    """Give the limits on bodies."""
    return BodyLimits(settings.body_bytes_max, settings.batch_body_bytes_max)


def guarded(app: ASGIApp, settings: IngressSettings, answered: Answered = not_counted) -> ASGIApp:
    """Put the application behind what every request passes."""
    limited = BodyLimit(app, body_limits(settings))
    return Correlation(InFlight(limited, settings.requests_in_flight_max), answered)


class HttpServer(mode.Service):
    """Listens once it has started; a graceful stop ends requests that are at work."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        limits: ConnectionLimits,
        *,
        overload: Overload = never_overloaded,
        answered: Answered = not_counted,
        stop_seconds: int = STOP_SECONDS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._address = (host, port)
        self._socket: socket.socket | None = None
        self._port: int | None = None
        self.connections = Connections(limits, overload, answered)
        self._sent_away_told = 0
        config = Config(
            app,
            http=partial(GuardedProtocol, self.connections),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=stop_seconds,
        )
        config.load()
        self._server = Server(config)
        self._server.lifespan = LifespanOff(config)

    @property
    def port(self) -> int:
        """Give the port that it listens on, or has listened on."""
        assert self._port is not None, "it has not started"
        return self._port

    @property
    def connection_count(self) -> int:
        """Count the connections."""
        return len(self._server.server_state.connections)

    async def on_start(self) -> None:
        """Listen."""
        _allow_files(self.connections.limits.connections_max + OTHER_FILES)
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        self._socket = socket.create_server(self._address, family=family, backlog=BACKLOG)
        self._port = int(self._socket.getsockname()[1])
        await self._server.startup(sockets=[self._socket])
        LOGGER.info("listens on %s port %d", self._address[0], self.port)

    @mode.Service.task
    async def _keep_time(self) -> None:
        """Let Uvicorn renew its header Date, as long as the server runs."""
        await self._server.main_loop()

    @mode.Service.task
    async def _sweep(self) -> None:
        """Look for what is overdue, also while the server stops."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.connections.limits.sweep_seconds)
            self._sweep_once(loop.time())
            self._tell_of_sent_away()

    def _sweep_once(self, now: float) -> None:
        state = self._server.server_state
        for connection in (*state.connections, *self.connections.turned_away):
            assert isinstance(connection, GuardedProtocol)
            connection.sweep(now)

    def _tell_of_sent_away(self) -> None:
        """Say how many were sent away lately: in one line, for that may be thousands."""
        sent_away = self.connections.refused[ProblemType.OVERLOADED]
        if sent_away > self._sent_away_told:
            count, self._sent_away_told = sent_away - self._sent_away_told, sent_away
            LOGGER.warning("sent away %d requests: there is more to do than can be done", count)

    async def on_stop(self) -> None:
        """Take nobody else, let those at work end, and cut off who has not by then."""
        self._server.should_exit = True
        if self._socket is not None:
            await self._server.shutdown(sockets=[self._socket])
        for connection in (*self._server.server_state.connections, *self.connections.turned_away):
            connection.transport.abort()


def _allow_files(wanted: int) -> None:
    """Raise this process's limit on open files as far as it may: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    is_endless = hard == resource.RLIM_INFINITY
    allowed = wanted if is_endless else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        LOGGER.warning("only %d files may be open: CONNECTIONS_MAX will not be reached", allowed)
