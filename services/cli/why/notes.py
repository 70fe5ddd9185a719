"""Says what else is the matter around an enrollment, beside the cause of where it is."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from services.cli.why import endings
from services.cli.why.causes import (
    CauseKind,
    Judged,
    clock,
    seconds,
)
from services.cli.why.clocks import clock_errors
from services.cli.why.facts import EnrollmentRow, Facts
from services.cli.why.obstacles import (
    CANCEL_HOP,
    is_unread,
)
from services.enrollment.model import EnrollmentState


def deadline(row: EnrollmentRow | None, now: datetime) -> Iterator[str]:
    if row is None or row.state is not EnrollmentState.PENDING or row.deadline_at is None:
        return
    remaining = row.deadline_at - now
    if remaining > timedelta():
        yield (
            f"undecided, it will be rejected at {clock(row.deadline_at)} by its deadline, "
            f"in {seconds(remaining)}"
        )
    else:
        yield f"its deadline was at {clock(row.deadline_at)}, {seconds(-remaining)} ago"


def notes(facts: Facts, judged: Judged, now: datetime) -> Iterator[str]:
    cause = judged.finding.cause
    if cause.kind is not CauseKind.CLOCK_OFF:
        for error in clock_errors(facts, now).items():
            yield endings.clock_off(error).cause.sentence
    if not facts.servers.get("redis", True) and cause.service != "redis":
        yield endings.REDIS_AWAY
    if judged.state == "pending" and is_unread(facts, CANCEL_HOP):
        yield "its cancel is in the topic, and enrollment has not read it yet"
    yield from _other_letters(facts, judged)
    for one in facts.processes or ():
        if one.open_breakers and one.service != cause.service:
            yield f"{one.name} has a breaker that is not closed: {', '.join(one.open_breakers)}"
    for conflict in facts.databases["enrollment"].conflicts if facts.enrollment else ():
        yield (
            f"{conflict.kind} of student {conflict.student_id} at {clock(conflict.received_at)} "
            "changed nothing"
        )
    if facts.topics is not None and not facts.topics.is_whole:
        yield "the topics could not be read to their ends in time: a message may be there unseen"


def _other_letters(facts: Facts, judged: Judged) -> Iterator[str]:
    shown = f"{judged.finding.cause.sentence} {judged.finding.next.command} "
    for letter in facts.letters:
        is_said = letter.service in shown and f" {letter.id} " in shown
        if not is_said:
            what = letter.event_type or f"a message of {letter.topic}"
            yield f"{letter.service} has parked {what} as dead letter {letter.id}: {letter.reason}"
