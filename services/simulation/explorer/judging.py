"""Judges single commits, with what was there before them: the instant invariants."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, assert_never
from uuid import UUID

from services.simulation.explorer.contents import Contents, Rows
from services.simulation.oracle import Changes, Oracle, short
from shared.choreography import Service
from shared.identifiers import SectionKey
from shared.outbox import OutboxRow

LEDGER = {"SeatReserved": +1, "SeatUnavailable": 0, "SeatReleased": -1}
OF_A_CLAIM = {"StudentValidated", "StudentClaimReleased"}


def judge_commit(service: Service, before: Contents, changes: Changes) -> list[str]:
    """Judge a commit on contents; what was wrong with these already is not said again."""
    violations: list[str] = []
    oracle = Oracle(violations)
    there = {t: [(k, None, row) for k, row in rows.items()] for t, rows in before.tables.items()}
    oracle.on_commit(service, there)
    violations.clear()
    oracle.on_commit(service, changes)
    after = {name: dict(before.rows(name)) for name in ("enrollment", "claim", "reservation")}
    for name, rows in after.items():
        rows.update({key: row for key, _, row in changes.get(name, ())})
    said = [row for _, was, row in changes.get("outbox", ()) if was is None and row is not None]
    match service:
        case Service.ENROLLMENT:
            violations += _judge_words(said, after["enrollment"])
        case Service.STUDENT:
            violations += _judge_words(said, after["claim"])
            violations += _judge_credits(said, after["claim"])
        case Service.CAPACITY:
            violations += _judge_words(said, after["reservation"])
            violations += _judge_ledger(said, changes.get("section", ()))
        case unreachable:
            assert_never(unreachable)
    return violations


def _judge_words(said: Sequence[OutboxRow], rows: Rows) -> Iterator[str]:
    """An event says of whom and of what it is exactly what its row says."""
    for event in said:
        row = rows.get(UUID(event.subject))
        if row is None:
            continue  # the oracle has seen that
        body = json.loads(event.body)
        if event.key != row.student_id or body["student_id"] != row.student_id:
            yield f"3: {event.event_type} of {short(row.enrollment_id)} goes to somebody else"
        if tuple(body.get("sections", ())) != row.sections or body.get("term") != row.term:
            yield f"8: {event.event_type} of {short(row.enrollment_id)} names other sections"


def _judge_credits(said: Sequence[OutboxRow], claims: Rows) -> Iterator[str]:
    for event in said:
        claim = claims.get(UUID(event.subject))
        if claim is None or event.event_type not in OF_A_CLAIM:
            continue
        told = json.loads(event.body)["credits"]
        if told != claim.credits:
            yield (
                f"8: {short(claim.enrollment_id)} has claimed {claim.credits} credits, and "
                f"{event.event_type} says {told}"
            )


def _judge_ledger(
    said: Sequence[OutboxRow], changes: Sequence[tuple[SectionKey, Any, Any]]
) -> Iterator[str]:
    """The events alone tell each section's count of reserved seats, change by change."""
    counts = {key: (was.reserved, was.seat_sequence) for key, was, _ in changes if was is not None}
    for event in said:
        step = LEDGER[event.event_type]
        body = json.loads(event.body)
        for seat in body["seats"]:
            key = SectionKey(body["term"], seat["section_id"])
            if key not in counts:
                continue  # not changed: a refusal repeats how it stands
            reserved, sequence = counts[key]
            counts[key] = (reserved + step, sequence + abs(step))
            if (seat["reserved"], seat["seat_sequence"]) != counts[key]:
                yield f"8: {event.event_type} counts {seat}, after {reserved} at {sequence}"
    for key, was, now in changes:
        if was is not None and now is not None and counts[key] != (now.reserved, now.seat_sequence):
            yield f"8: section {key.section_id} changes and no event says so"


def judge_relay(
    before: Rows, after: Mapping[int, Any], published: Sequence[OutboxRow]
) -> Iterator[str]:
    """The oldest rows are published, in order; only those are deleted."""
    numbers = [row.id for row in published]
    if numbers != sorted(before)[: len(numbers)]:
        yield f"6: the relay publishes {numbers} of the rows {sorted(before)}"
    lost = sorted(before.keys() - after.keys() - set(numbers))
    if lost:
        yield f"6: the relay deletes rows that it has not published: {lost}"
