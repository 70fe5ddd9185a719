"""The requests, as bytes that need only be sent: a token, an Idempotency-Key and a small body."""

import json
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from deploy.local.ports import LOOPBACK
from deploy.local.tokens import Issuer

REQUESTS_A_TOKEN: Final = 4  # one of so many is verified, the others are remembered
TOKEN_SECONDS: Final = 24 * 3600
SECTIONS: Final = 500


def prepare(count: int, issuer: Issuer) -> list[bytes]:
    """Write so many requests, each of which is new to the server."""
    now = datetime.now(UTC)
    requests = []
    token = ""
    for number in range(count):
        if number % REQUESTS_A_TOKEN == 0:
            token = issuer.student(
                f"S{number:06}", client="frameworks", now=now, lifetime_seconds=TOKEN_SECONDS
            )
        requests.append(_request(number, token))
    return requests


def _request(number: int, token: str) -> bytes:
    sections = [f"MATH{(number + one) % SECTIONS}-1" for one in range(3)]
    body = json.dumps({"term": "2031a", "sections": sections})
    return (
        "POST /enrollments HTTP/1.1\r\n"
        f"Host: {LOOPBACK}\r\n"
        f"Authorization: Bearer {token}\r\n"
        f"Idempotency-Key: {UUID(int=number)}\r\n"
        "Content-Type: application/json\r\n"
        "Accept: */*\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"\r\n{body}"
    ).encode()
