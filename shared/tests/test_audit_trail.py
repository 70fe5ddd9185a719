"""The chain of the audit trail: no record can be changed, moved or left out unseen."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest

from shared.audit_trail import FIRST_HASH, AuditRecord, chain, first_break

NOW = datetime(2026, 1, 12, 8, 0, tzinfo=UTC)


def trail(length: int) -> list[AuditRecord]:
    records: list[AuditRecord] = []
    previous = FIRST_HASH
    for number in range(1, length + 1):
        at = NOW + timedelta(seconds=number)
        texts = ("ana", "replay", str(number), f"detail {number}")
        digest = chain(previous, at, *texts)
        records.append(AuditRecord(number, at, *texts, previous_hash=previous, hash=digest))
        previous = digest
    return records


def rehashed(record: AuditRecord) -> AuditRecord:
    """As somebody would who changed a record and hashed it anew."""
    texts = (record.operator, record.action, record.subject, record.detail)
    return replace(record, hash=chain(record.previous_hash, record.recorded_at, *texts))


@pytest.mark.parametrize("length", [0, 1, 5])
def test_a_trail_that_nobody_touched_has_no_break(length: int) -> None:
    assert first_break(trail(length)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"operator": "eva"},
        {"action": "discard"},
        {"subject": "9"},
        {"detail": ""},
        {"recorded_at": NOW},
        {"previous_hash": bytes(32)},
        {"hash": bytes(32)},
        {"id": 7},
    ],
)
def test_a_changed_record_is_found(change: dict[str, object]) -> None:
    records = trail(4)

    records[2] = replace(records[2], **change)  # type: ignore[arg-type]

    assert first_break(records) == 3


def test_a_record_that_was_changed_and_hashed_anew_breaks_at_the_next() -> None:
    records = trail(4)

    records[1] = rehashed(replace(records[1], detail="nothing happened"))

    assert first_break(records) == 3


@pytest.mark.parametrize("left_out", [0, 1, 2])
def test_a_record_that_was_left_out_is_found(left_out: int) -> None:
    records = trail(4)

    del records[left_out]

    assert first_break(records) == left_out + 1


def test_records_that_changed_places_are_found() -> None:
    records = trail(4)

    records[1], records[2] = records[2], records[1]

    assert first_break(records) == 2


def test_the_place_of_a_record_in_the_day_is_the_same_in_every_time_zone() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=-6)))

    assert chain(FIRST_HASH, NOW, "a") == chain(FIRST_HASH, there, "a")


def test_texts_that_join_to_the_same_are_told_apart() -> None:
    hashes = [chain(FIRST_HASH, NOW, *texts) for texts in (("ab", "c"), ("a", "bc"), ("abc", ""))]

    assert all(one != other for one, other in pairwise(hashes))
