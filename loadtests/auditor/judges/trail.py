"""Judge the audit trail: each record follows from the one before it."""

from collections.abc import Iterator, Sequence
from datetime import UTC
from hashlib import sha256
from typing import Final

from loadtests.auditor.report import Invariant, Violation
from loadtests.auditor.tables import AuditRecord

FIRST_HASH: Final = bytes(32)


def judge_trail(service: str, trail: Sequence[AuditRecord]) -> Iterator[Violation]:
    """Compute the chain anew; the first break is told, for what follows hangs on it."""
    previous = FIRST_HASH
    for number, record in enumerate(trail, start=1):
        subject = f"audit record {record.id} of {service}"
        if record.id != number:
            text = f"its number is {record.id}, by counting it is {number}"
            yield Violation(Invariant.ONE_EVENT, subject, text)
            return
        expected = _hash(previous, record)
        if (record.previous_hash, record.hash) != (previous, expected):
            text = f"its hash is {record.hash.hex()[:16]}…, by its content {expected.hex()[:16]}…"
            yield Violation(Invariant.ONE_EVENT, subject, text)
            return
        previous = record.hash


def _hash(previous: bytes, record: AuditRecord) -> bytes:
    recorded_at = record.recorded_at.astimezone(UTC).isoformat()
    parts = (recorded_at, record.operator, record.action, record.subject, record.detail)
    return sha256(previous + "\x1f".join(parts).encode()).digest()
