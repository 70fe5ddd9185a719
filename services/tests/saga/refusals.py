"""Reads the reasons of a refusal out of an enrollment's row."""

from pydantic import TypeAdapter

from services.tests.saga.client import Row
from shared.events import Reason

REASONS = TypeAdapter(list[Reason])

Found = list[tuple[str, str | None]]


def reasons_of(outcome: Row) -> Found:
    """Give the reasons that a student reads, each of which has its sentence in both languages."""
    reasons = REASONS.validate_json(outcome["reasons"] or "[]")
    assert all(reason.detail and reason.detail_es for reason in reasons)
    return [(reason.code, reason.section_id) for reason in reasons]
