"""Judges single commits, with what was there before them: the instant invariants."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, assert_never
from uuid import UUID

from services.capacity.model import ReservationState
from services.simulation.explorer.contents import Contents, Rows
from services.simulation.oracle import Change, Changes, Oracle, short
from services.student.model import Claim, ClaimState
from shared.choreography import Service
from shared.events import SectionState
from shared.identifiers import EnrollmentId, SectionKey
from shared.outbox import OutboxRow

LEDGER = {"SeatReserved": +1, "SeatUnavailable": 0, "SeatReleased": -1}
ANSWERS = {"StudentValidated", "StudentRejected", "SeatReserved", "SeatUnavailable"}
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
            violations += _judge_answers(said, changes.get("claim", ()), lambda _: True)
            violations += _judge_times(changes.get("claim", ()), after["claim"])
        case Service.CAPACITY:
            violations += _judge_words(said, after["reservation"])
            violations += _judge_ledger(said, changes.get("section", ()))
            answered = changes.get("reservation", ())
            violations += _judge_answers(said, answered, lambda row: row.is_answered)
            violations += _judge_open(before.rows("section"), changes)
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


def _judge_answers(
    said: Sequence[OutboxRow], changes: Sequence[Change], is_answered: Callable[[Any], bool]
) -> Iterator[str]:
    """Every question gets one answer, and none later."""
    answers = Counter(UUID(event.subject) for event in said if event.event_type in ANSWERS)
    for enrollment_id, was, _ in changes:
        if was is not None and is_answered(was) and answers[enrollment_id]:
            yield f"8: {short(enrollment_id)} is answered once more"
    for enrollment_id, count in answers.items():
        if count > 1:
            yield f"8: {short(EnrollmentId(enrollment_id))} gets {count} answers"


def _judge_times(changes: Sequence[Change], claims: Rows) -> Iterator[str]:
    """Nobody claims a minute twice; it is counted here, not by the rule of the service."""
    for enrollment_id, _, claim in changes:
        if claim is None or claim.state is not ClaimState.CLAIMED:
            continue
        for other in claims.values():
            if (
                other is not claim
                and other.state is ClaimState.CLAIMED
                and (other.student_id, other.term) == (claim.student_id, claim.term)
                and _minutes(claim) & _minutes(other)
            ):
                yield f"4: {claim.student_id} is in two places at a time by {short(enrollment_id)}"


def _minutes(claim: Claim) -> set[tuple[int, int, int]]:
    return {
        (week, day, minute)
        for slot in claim.slots
        for week in range(slot.weeks.bit_length())
        for day in range(slot.days.bit_length())
        if slot.weeks >> week & slot.days >> day & 1
        for minute in range(slot.start_minute, slot.end_minute)
    }


def _judge_open(sections: Rows, changes: Changes) -> Iterator[str]:
    """Seats are taken in open sections alone; what was open in the same commit still counts."""
    now = {**sections, **{key: after for key, _, after in changes.get("section", ())}}
    for enrollment_id, was, row in changes.get("reservation", ()):
        if row is None or row.state is not ReservationState.RESERVED or was == row:
            continue
        for section_id in row.sections:
            key = SectionKey(row.term, section_id)
            states = {one.state for one in (sections.get(key), now.get(key)) if one is not None}
            if SectionState.OPEN not in states:
                yield f"1: {short(enrollment_id)} takes a seat in {section_id}, which is not open"


def _judge_ledger(said: Sequence[OutboxRow], changes: Sequence[Change]) -> Iterator[str]:
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
