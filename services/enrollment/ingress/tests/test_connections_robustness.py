"""Whatever bytes come, in whatever pieces, the connection answers in order or closes."""

import asyncio
import re
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from services.enrollment.ingress.connections import Connections, GuardedProtocol
from services.enrollment.ingress.http_server import connection_limits
from services.enrollment.ingress.tests.serving import get, request, settings

H2C = ("Connection: Upgrade", "Upgrade: h2c")
CHUNKED = request("POST", "/read", "Transfer-Encoding: chunked")
WHOLE = {  # and what is read of each
    get("/read"): b"",
    request("POST", "/read", body=b"abc"): b"abc",
    request("POST", "/unread", body=b"abc"): b"",
    CHUNKED + b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n": b"abcd",
    CHUNKED + b"3\r\nabc\r\n0\r\nX: y\r\n\r\n": b"abc",
    request("POST", "/read", *H2C, body=b"abc"): b"abc",
    get("/read", *H2C): b"",
    get("/read", "Expect: 100-continue"): b"",
}
BROKEN = [
    b"\r\n",
    b"\x00",
    b"hello\r\n\r\n",
    CHUNKED + b"zz\r\n",
    get("/" + "x" * 1500),
    get("/read", "X: " + "y" * 1500),
    b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"GET http://a HTTP/1.1\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\n\r\n",
    b"GET /read HTTP/1.0\r\n\r\n",
    request("POST", "/read", body=b"x" * 5000)[:-1000],
    b"GET /read",
]
STREAMS = st.lists(st.sampled_from([*WHOLE, *BROKEN]) | st.binary(max_size=20), max_size=8)
ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r]*\r\n((?:[^\r]+\r\n)*)\r\n")
EXPECTED = {200, 400, 408, 413, 431}


async def example(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body or does not, and answers with what it has read."""
    read, is_whole = b"", scope["path"] == "/unread"
    while not is_whole:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        read += message["body"]
        is_whole = not message["more_body"]
    headers = [(b"content-length", b"%d" % len(read))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": read})


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False

    def write(self, data: bytes) -> None:
        assert not self.is_closed
        self.written += data

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, _name: str) -> Any:
        return None

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Nothing is written after it, or the test of `write` would see it."""

    def pause_reading(self) -> None:
        """Pieces come all the same: what was on its way when reading was paused."""

    resume_reading = pause_reading


def answers_in(written: bytes) -> list[tuple[int, bytes]]:
    """Read all answers, status and body; each must be whole."""
    found = []
    while written:
        head = ANSWER.match(written)
        assert head is not None, written
        length = re.search(rb"content-length: (\d+)", head[2], re.IGNORECASE)
        end = head.end() + (0 if length is None else int(length[1]))
        assert len(written) >= end
        if head[1] != b"100":
            found.append((int(head[1]), written[head.end() : end]))
        written = written[end:]
    return found


async def converse(stream: bytes, cuts: list[int]) -> tuple[Wire, list[Any]]:
    loop = asyncio.get_running_loop()
    errors: list[Any] = []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, context: errors.append(context))
    config = Config(
        example, log_config=None, access_log=False, lifespan="off", ws="none", interface="asgi3"
    )
    config.load()
    limits = connection_limits(settings(header_bytes_max=1024, body_bytes_max=4096))
    protocol, wire = GuardedProtocol(Connections(limits), config, ServerState(), {}), Wire()
    protocol.connection_made(wire)
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    for begin, end in pairwise(edges):
        if not wire.is_closed:
            protocol.data_received(stream[begin:end])
        await asyncio.sleep(0)
    for _ in range(60):
        await asyncio.sleep(0)
    protocol.sweep(loop.time() + limits.request_read_seconds + 1)
    await asyncio.sleep(0)
    protocol.connection_lost(None)
    for _ in range(5):
        await asyncio.sleep(0)
    loop.set_exception_handler(before)
    return wire, errors


@effort(max_examples=400, deadline=None)
@given(STREAMS, st.lists(st.integers(0, 20_000), max_size=12))
async def test_every_answer_is_whole_and_expected_and_after_a_refusal_there_is_none(
    parts: list[bytes], cuts: list[int]
) -> None:
    wire, errors = await converse(b"".join(parts), cuts)

    statuses = [status for status, _ in answers_in(wire.written)]
    assert not errors
    assert set(statuses) <= EXPECTED
    assert all(status == 200 for status in statuses[:-1])


@effort(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(list(WHOLE)), max_size=8),
    st.lists(st.integers(0, 20_000), max_size=12),
)
async def test_every_good_request_is_answered_in_whatever_pieces_it_comes(
    parts: list[bytes], cuts: list[int]
) -> None:
    wire, errors = await converse(b"".join(parts), cuts)

    assert not errors
    assert answers_in(wire.written) == [(200, WHOLE[part]) for part in parts]
