"""Connections of clients: what is too slow, too large or too much ends here, with a problem.

Uvicorn bounds neither the head of a request nor the time that a client takes to send it.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from services.enrollment.ingress.correlation import (
    NO_ROUTE,
    Answered,
    correlation_of,
    log_request,
    not_counted,
)
from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.refusals import Refusal, Refusals
from shared.logs import CORRELATION_ID

ENROLLMENTS: Final = "/enrollments"
VERSIONS: Final = frozenset({"1.0", "1.1"})
PIPELINE_MAX: Final = 16  # requests that wait on a connection while one is at work
FRAMING: Final = 2  # a body may take so many times its bytes, in chunks
FRAMING_BYTES: Final = 64 * 1024
LINGER_SECONDS: Final = 1.0  # the client reads our answer, which a reset would take from it
LINGERING_MAX: Final = 500
WRITE_SECONDS: Final = 30.0  # a client that takes nothing for so long has gone
SWEEP_SECONDS_MAX: Final = 0.5


@dataclass(frozen=True)
class ConnectionLimits:
    """What one client may take, and all of them together."""

    header_bytes_max: int
    body_bytes_max: Callable[[str], int]  # by path
    request_read_seconds: float
    keep_alive_seconds: float
    connections_max: int

    @property
    def sweep_seconds(self) -> float:
        """How often to look for what is overdue."""
        shortest = min(self.request_read_seconds, self.keep_alive_seconds)
        return min(SWEEP_SECONDS_MAX, shortest / 4)


Overload = Callable[[str, str], Problem | None]  # by method and path


def never_overloaded(_method: str, _path: str) -> Problem | None:
    """Let everybody in."""
    return None


@dataclass
class Connections:
    """What the connections of a server share."""

    limits: ConnectionLimits
    overload: Overload = never_overloaded
    answered: Answered = not_counted
    refused: Counter[ProblemType] = field(default_factory=Counter)
    turned_away: set["GuardedProtocol"] = field(default_factory=set)
    refusals: Refusals = field(default_factory=Refusals)

    def counts(self) -> Mapping[str, int]:
        """Count what was refused since the start, by problem."""
        return {kind.slug: count for kind, count in self.refused.items()}


class GuardedProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP/1.1, within limits.

    Time-outs are found by sweeping: a timer for each request would cost more than the request's
    other bounds together.
    """

    def __init__(self, shared: Connections, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shared = shared
        self._limits = shared.limits
        self.timeout_keep_alive = shared.limits.keep_alive_seconds  # type: ignore[assignment]
        self._due = inf  # when the client must have sent what it is sending
        self._write_due = inf  # when it must have taken what it is sent
        self._is_refused = False  # what it sends now is thrown away
        self._is_in_head = True
        self._has_begun = False
        self._asks_for_upgrade = False
        self._head_bytes = 0
        self._piece_bytes = 0
        self._unmeasured_bytes = 0  # of a piece that may hold a part of the head as well
        self._body_bytes = 0
        self._body_bytes_max = 0

    def connection_made(self, transport: Any) -> None:
        """Take a client, or turn it away."""
        if len(self.connections) >= self._limits.connections_max:
            self.transport = transport
            self._turn_away()
            return
        super().connection_made(transport)
        self._due = self.loop.time() + self._limits.keep_alive_seconds

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self._shared.turned_away.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read a piece of a request."""
        if self._is_refused:
            return
        self._unset_keepalive_if_required()
        if not self._has_begun:
            self._due = min(self._due, self.loop.time() + self._limits.request_read_seconds)
        self._piece_bytes = len(data)
        if self._is_in_head:
            self._head_bytes += len(data)
        else:
            self._body_bytes += len(data)
        self._feed(data)
        self._measure()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(ProblemType.MALFORMED_REQUEST)

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Read the request as if it asked for no other protocol: the parser would drop its body.

        Java's HTTP client asks for HTTP/2 with its first request, whatever that is.
        """
        self._asks_for_upgrade = False
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            if name != b"upgrade":
                head += [name, b": ", value, b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        self._feed(b"".join([*head, b"\r\n", rest]))

    def _measure(self) -> None:
        """Bound what the parser may keep of a request: a head, or a trailer, could be endless."""
        if self._is_refused:
            return
        if self._is_in_head:
            if self._head_bytes > self._limits.header_bytes_max:
                self._refuse(ProblemType.HEADERS_TOO_LARGE)
        elif self._body_bytes > self._body_bytes_max:
            self._refuse(ProblemType.BODY_TOO_LARGE)

    def on_message_begin(self) -> None:
        """A request begins: from now on its time counts."""
        super().on_message_begin()
        self._has_begun = True
        self._due = self.loop.time() + self._limits.request_read_seconds

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; those that follow a chunked body are of no use here."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Let the request begin, unless its head was too large or too many wait already."""
        if self._is_refused or not self._is_understood():
            raise RefusedError
        if self._head_bytes + self._unmeasured_bytes > self._limits.header_bytes_max:
            self._measure_head()
        if len(self.pipeline) >= PIPELINE_MAX:
            self._discard_rest()
            raise RefusedError
        if self.parser.should_upgrade():
            self._asks_for_upgrade = True
            return
        super().on_headers_complete()
        self._is_in_head = False
        self._body_bytes = 0
        self._body_bytes_max = FRAMING_BYTES + FRAMING * self._limits.body_bytes_max(
            self.scope["path"]
        )

    def on_message_complete(self) -> None:
        """The request is whole: what comes now is another."""
        if self._asks_for_upgrade:
            return
        super().on_message_complete()
        self._is_in_head, self._has_begun = True, False
        self._head_bytes = 0
        self._unmeasured_bytes = self._piece_bytes
        self._due = inf

    def pause_writing(self) -> None:
        """The client does not take what it is sent."""
        super().pause_writing()
        self._write_due = self.loop.time() + WRITE_SECONDS

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        self._write_due = inf

    def sweep(self, now: float) -> None:
        """End what is overdue."""
        if self.transport.is_closing() and self._write_due == inf:
            self._write_due = now + WRITE_SECONDS  # what was written must still be taken
        if now >= self._write_due or (self._is_refused and now >= self._due):
            self.transport.abort()
        elif now >= self._due:
            self._end_wait(now)

    def _end_wait(self, now: float) -> None:
        if self.flow.read_paused:  # it is not the client who lets us wait
            self._due = now + self._limits.request_read_seconds
        elif self._has_begun:
            self._refuse(ProblemType.TOO_SLOW)
        elif self._is_at_work():
            self._due = inf
        else:
            self.transport.close()

    def _is_at_work(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _is_understood(self) -> bool:
        version = self.parser.get_http_version()
        if version not in VERSIONS or self.parser.get_method() == b"CONNECT":
            return False
        hosts = sum(name == b"host" for name, _ in self.headers)
        return hosts == 1 or (hosts == 0 and version == "1.0")

    def _measure_head(self) -> None:
        fields = sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)
        if len(self.url) + fields > self._limits.header_bytes_max:
            self._refuse(ProblemType.HEADERS_TOO_LARGE)
            raise RefusedError

    def _turn_away(self) -> None:
        self._is_refused = True
        self._shared.refused[ProblemType.TOO_MANY_CONNECTIONS] += 1
        self._write(Problem(ProblemType.TOO_MANY_CONNECTIONS), [])
        if len(self._shared.turned_away) < LINGERING_MAX:
            self._shared.turned_away.add(self)
            self._linger()
        else:
            self.transport.close()

    def _refuse(self, kind: ProblemType) -> None:
        """Read no more; answer, unless the answers to earlier requests must come first."""
        if self._is_refused:
            return
        self._shared.refused[kind] += 1
        has_started = self.cycle is not None and self.cycle.response_started
        if self._is_at_work() and (self._is_in_head or has_started):
            self._discard_rest()
            return
        self._is_refused = True
        is_due = self._is_in_head or not has_started
        if is_due and not self.pipeline:
            self._write(Problem(kind), self.headers or [])
        if self._is_at_work():  # on what will never come
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.pipeline:
            self._due = self.loop.time() + WRITE_SECONDS
        else:
            self._linger()

    def _discard_rest(self) -> None:
        """Let what is at work be answered, and close the connection after that."""
        self._is_refused = True
        self._due = inf
        if self.cycle is None or self.cycle.response_complete:
            self._linger()
        else:
            self.cycle.keep_alive = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Begin a request when its turn has come, or send it away before it costs anything."""
        problem = self._shared.overload(cycle.scope["method"], cycle.scope["path"])
        if problem is None:
            super()._start_asgi_task(cycle, app)
            return
        is_kept = cycle.keep_alive and not cycle.waiting_for_100_continue
        self._send_away(problem, cycle, is_kept=is_kept)
        self.on_response_complete()
        if not is_kept:
            self._is_refused = True
            self._linger()

    def _send_away(self, problem: Problem, cycle: RequestResponseCycle, *, is_kept: bool) -> None:
        self._shared.refused[problem.kind] += 1  # a line for each would cost more than the answer
        refusal = self._shared.refusals.of(problem, self.server_state.default_headers)
        correlation_id = correlation_of(list(cycle.scope["headers"]))
        head, body = refusal.answer(correlation_id, is_kept=is_kept)
        self.transport.write(head if cycle.scope["method"] == "HEAD" else head + body)
        cycle.response_started = cycle.response_complete = True
        method, path = cycle.scope["method"], cycle.scope["path"]
        route = path if path == ENROLLMENTS else NO_ROUTE
        self._shared.answered(method, route, problem.kind.status, 0.0, problem.kind.slug)

    def _write(self, problem: Problem, headers: list[tuple[bytes, bytes]]) -> None:
        correlation_id = correlation_of(headers)
        refusal = Refusal(problem, self.server_state.default_headers)
        head, body = refusal.answer(correlation_id, is_kept=False)
        token = CORRELATION_ID.set(correlation_id)
        try:
            log_request("-", NO_ROUTE, problem.kind.status, 0.0)
        finally:
            CORRELATION_ID.reset(token)
        self.transport.write(head + body)
        self._shared.answered("-", NO_ROUTE, problem.kind.status, 0.0, problem.kind.slug)

    def _linger(self) -> None:
        self._due = self.loop.time() + LINGER_SECONDS
        if self.flow is not None:
            self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()


class RefusedError(Exception):
    """Stops the parser: the client has its answer, or will have one, and the rest is discarded."""
