"""The requests of a day as the bytes of HTTP, finished before time is taken."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from uuid import uuid5

from deploy.local.ports import LOOPBACK
from loadtests.day.dataset import Dataset
from loadtests.day.requests import NAMESPACE, Name, in_order

SIGNERS: Final = 2  # signing leaves the interpreter to others for most of its time

Sign = Callable[[str], str]


REQUEST: Final = (
    "POST /enrollments HTTP/1.1\r\n"
    f"Host: {LOOPBACK}\r\n"
    "Content-Type: application/json\r\n"
    "Authorization: Bearer {token}\r\n"
    "Idempotency-Key: {key}\r\n"
    "Content-Length: {length}\r\n\r\n{body}"
)


def idempotency_key(name: Name) -> str:
    """Give the key of a request; the same run asks again under the same keys."""
    return str(uuid5(NAMESPACE, f"key\n{name.dataset}\n{name.line}\n{name.copy}\n{name.run}"))


def prepare_asks(copies: Sequence[Dataset], run: str, sign: Sign) -> list[bytes]:
    """Write the POSTs of every copy, as they and all their repeats go out, in Kafka's order.

    `sign` makes a student's token; each student has one.
    """
    asked = list(in_order(copies, run))
    token_of = _tokens({request.student_id for _, _, request in asked}, sign)
    return [
        post(
            json.dumps({"term": term, "sections": request.sections}),
            token_of[request.student_id],
            idempotency_key(name),
        )
        for name, term, request in asked
    ]


def post(body: str, token: str, key: str) -> bytes:
    """Write one POST; the body is ASCII, as json writes it."""
    return REQUEST.format(token=token, key=key, length=len(body), body=body).encode("ascii")


def _tokens(student_ids: set[str], sign: Sign) -> dict[str, str]:
    ids = sorted(student_ids)
    with ThreadPoolExecutor(SIGNERS) as pool:
        return dict(zip(ids, pool.map(sign, ids), strict=True))
