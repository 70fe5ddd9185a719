"""Ballast: all of it is sent and refused at once, in whatever pieces it comes."""

import asyncio
import json

import pytest

from deploy.local.ports import LOOPBACK
from loadtests.overload.ballast import ANSWER, RefusesAll, ballast

REQUEST = b"POST /enrollments HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
BARE = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def told(*pieces: bytes, answers: int) -> bytes:
    """Send pieces apart from each other, and read so many answers and what else has come."""
    server = await asyncio.get_running_loop().create_server(RefusesAll, LOOPBACK, 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.02)
        async with asyncio.timeout(10):
            told = await reader.readexactly(answers * len(ANSWER))
        writer.write_eof()
        told += await asyncio.wait_for(reader.read(), 10)
        writer.close()
        await writer.wait_closed()
    return told


async def test_all_that_is_sent_is_answered_and_counted() -> None:
    sent = list[int]()

    def request(number: int) -> bytes:
        sent.append(number)
        return REQUEST

    async with ballast(request) as beside:
        first = await beside.offer(200, 0.3)
        again = await beside.offer(100, 0.3)

    assert (first.rate, first.sent, first.answered) == (200, 60, 60)
    assert (again.rate, again.sent, again.answered) == (100, 30, 30)
    assert sent == list(range(90))
    assert first.late_ms_max < 1000


async def test_what_is_answered_says_when_to_come_again() -> None:
    head, _, body = (await told(REQUEST, answers=1)).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 1" in head
    assert b"\r\ncontent-length: %d\r\n" % len(body) in head
    assert json.loads(body)["status"] == 503


@pytest.mark.parametrize("cut", [1, 30, len(REQUEST) - 6, len(REQUEST) - 4, len(REQUEST) - 1])
async def test_a_request_in_pieces_is_answered_once_and_when_it_is_whole(cut: int) -> None:
    assert await told(REQUEST[:cut], REQUEST[cut:], answers=1) == ANSWER
    assert await told(REQUEST[:cut], answers=0) == b""


async def test_requests_in_one_piece_are_each_answered() -> None:
    assert await told(REQUEST + BARE + REQUEST[:50], REQUEST[50:], answers=3) == ANSWER * 3
