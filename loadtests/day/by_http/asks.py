"""The requests of a day as HTTP bodies and headers, finished before time is taken."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple
from uuid import uuid5

from loadtests.day.dataset import Dataset
from loadtests.day.requests import NAMESPACE, Name, in_order

SIGNERS: Final = 2  # signing leaves the interpreter to others for most of its time

Sign = Callable[[str], str]


class Ask(NamedTuple):
    """One POST: its body, its headers, and those of all its repeats."""

    body: bytes
    headers: dict[str, str]


def idempotency_key(name: Name) -> str:
    """Give the key of a request; the same run asks again under the same keys."""
    return str(uuid5(NAMESPACE, f"key\n{name.dataset}\n{name.line}\n{name.copy}\n{name.run}"))


def prepare_asks(copies: Sequence[Dataset], run: str, sign: Sign) -> list[Ask]:
    """Write the requests of every copy in the order that they have by Kafka too.

    `sign` makes a student's token; each student has one.
    """
    asked = list(in_order(copies, run))
    token_of = _tokens({request.student_id for _, _, request in asked}, sign)
    return [
        Ask(
            json.dumps({"term": term, "sections": request.sections}).encode(),
            {
                "Authorization": f"Bearer {token_of[request.student_id]}",
                "Idempotency-Key": idempotency_key(name),
                "Content-Type": "application/json",
            },
        )
        for name, term, request in asked
    ]


def _tokens(student_ids: set[str], sign: Sign) -> dict[str, str]:
    ids = sorted(student_ids)
    with ThreadPoolExecutor(SIGNERS) as pool:
        return dict(zip(ids, pool.map(sign, ids), strict=True))
