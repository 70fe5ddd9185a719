"""The requests as bytes, each made when it is sent: of one student for one section, never twice."""

import json
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from deploy.local.ports import LOOPBACK
from loadtests.chaos.workload import TERM, Campus

RUN: Final = 0x0BE710AD << 96  # where this load's keys begin
HEAD: Final = (
    "POST /enrollments HTTP/1.1\r\n"
    f"Host: {LOOPBACK}\r\n"
    "Content-Type: application/json\r\n"
    "Authorization: Bearer {token}\r\n"
    "Idempotency-Key: "
)


class Requests:
    """Requests without end; those for the same pair of student and section come as late as can be.

    Until then all can be confirmed, afterwards they are rejected. Every student has asked once
    before one asks again, so that nobody's quota matters.
    """

    def __init__(self, campus: Campus, tokens: Sequence[str]) -> None:
        self._heads = [HEAD.format(token=token).encode() for token in tokens]
        self._bodies = [_body(section) for section in campus.seats]

    def __call__(self, number: int) -> bytes:
        """Write one."""
        turn, student = divmod(number, len(self._heads))
        key = str(UUID(int=RUN + number)).encode()
        return b"".join((self._heads[student], key, self._bodies[turn % len(self._bodies)]))


def _body(section: str) -> bytes:
    body = json.dumps({"term": TERM, "sections": [section]})
    return f"\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
