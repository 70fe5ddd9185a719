"""Judges the facts about one enrollment: a pure function, which trusts no service's opinion."""

from datetime import datetime, timedelta
from typing import assert_never

from services.cli.why import endings
from services.cli.why.causes import (
    USUAL_SECONDS,
    CauseKind,
    Diagnosis,
    Judged,
    Verdict,
    finding,
    look_again,
    status,
)
from services.cli.why.facts import Facts, Found
from services.cli.why.happenings import happened
from services.cli.why.notes import deadline, notes
from services.cli.why.obstacles import (
    CANCEL_HOP,
    is_unread,
    message_of,
    obstacle,
    parked,
    server_down,
)
from services.cli.why.pending import pending
from services.cli.why.unknown import unknown, unopened
from services.enrollment.model import EnrollmentState
from shared.choreography import Service


def diagnose(facts: Facts, now: datetime, usual_seconds: float = USUAL_SECONDS) -> Diagnosis:
    """Say where the enrollment is, what it waits for since when, the first cause, what to do."""
    usual = timedelta(seconds=usual_seconds)
    judged = _judge(facts, now, usual)
    row = facts.enrollment
    students = [one.student_id for one in facts.messages if one.student_id is not None]
    return Diagnosis(
        enrollment_id=facts.enrollment_id,
        student_id=row.student_id if row is not None else next(iter(students), None),
        state=judged.state,
        where=judged.where,
        since=judged.since,
        waits_for=judged.waits_for,
        deadline_at=row.deadline_at
        if row is not None and row.state is EnrollmentState.PENDING
        else None,
        finding=judged.finding,
        verdict=judged.verdict,
        notes=[*deadline(row, now), *notes(facts, judged, now)],
        happened=happened(facts),
        unseen=_unseen(facts),
    )


def _unseen(facts: Facts) -> list[str]:
    """Say what could not be seen, each reason once."""
    whats: dict[str, list[str]] = {}
    for one in facts.unseen:
        whats.setdefault(one.why, []).append(one.what)
    return [f"{', '.join(what)} could not be seen: {why}" for why, what in whats.items()]


def _judge(facts: Facts, now: datetime, usual: timedelta) -> Judged:
    if "enrollment" not in facts.databases:
        return _blind(facts)
    row = facts.enrollment
    if row is None:
        return unknown(facts, now, usual)
    match row.state:
        case EnrollmentState.UNOPENED:
            return unopened(facts, row, now, usual)
        case EnrollmentState.PENDING:
            return pending(facts, row, now, usual)
        case EnrollmentState.CONFIRMED:
            return _cancel_on_its_way(facts, now, usual) or endings.confirmed(facts, row)
        case EnrollmentState.REJECTED | EnrollmentState.CANCELLED:
            return endings.ended(facts, row, now, usual)
        case unreachable:
            assert_never(unreachable)


def _blind(facts: Facts) -> Judged:
    """Without enrollment's table only the topics tell, and they may be behind it."""
    down = server_down(facts, "postgres") or finding(
        Service.ENROLLMENT,
        CauseKind.NO_DATA,
        "enrollment's database cannot be read: "
        + next((one.why for one in facts.unseen if one.what == "postgres/enrollment"), "why?"),
        status("See whether enrollment has ever run here, and start it once."),
    )
    if not facts.messages:
        where = "nothing can be seen of it: the tables are away, and its messages were not found"
        return Judged("unseen", where, down, Verdict.UNSEEN)
    last = max(facts.messages, key=_logged)
    where = (
        f"the tables are away; the last that the topics have of it is {last.event_type} "
        f"({last.place.topic}/{last.place.partition}, offset {last.offset})"
    )
    return Judged("unseen", where, down, Verdict.UNSEEN, last.logged_at)


def _logged(message: Found) -> float:
    return message.logged_at.timestamp() if message.logged_at is not None else 0.0


def _cancel_on_its_way(facts: Facts, now: datetime, usual: timedelta) -> Judged | None:
    """A confirmed enrollment whose cancel is not read yet, or is parked."""
    message, blocked = message_of(facts, CANCEL_HOP), parked(facts, CANCEL_HOP)
    if blocked is None and not is_unread(facts, CANCEL_HOP):
        return None
    found = blocked or obstacle(facts, CANCEL_HOP, now, usual)
    if found is None or found.cause.kind is CauseKind.LAG:
        sentence = "its cancel is in the topic, and enrollment has not read it yet"
        if found is not None:
            sentence += f": {found.cause.sentence}"
        text = "Wait: it is read after what came before it, and its seats go back then."
        found = finding(
            Service.ENROLLMENT,
            CauseKind.CANCEL_WAITING,
            sentence,
            look_again(facts.enrollment_id, text),
        )
    where = "it is confirmed, and its cancel waits for enrollment"
    since = message.logged_at if message is not None else None
    return Judged("confirmed", where, found, Verdict.STUCK, since, Service.ENROLLMENT)
