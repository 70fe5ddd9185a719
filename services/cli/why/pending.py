"""Judges an enrollment that is pending: which step has not come, and what keeps it."""

from datetime import datetime, timedelta
from typing import Final

from services.cli.why import endings
from services.cli.why.causes import (
    CauseKind,
    Finding,
    Judged,
    Next,
    Verdict,
    clock,
    finding,
    look_again,
)
from services.cli.why.clocks import clock_errors
from services.cli.why.facts import EnrollmentRow, Facts
from services.cli.why.obstacles import (
    Hop,
    hop_of,
    message_of,
    obstacle,
    process_trouble,
)
from shared.choreography import CAPACITY_EVENTS, ENROLLMENT_EVENTS, REACTIONS, Service
from shared.events import (
    EnrollmentOpened,
    Event,
    SeatReserved,
    SeatUnavailable,
    StudentRejected,
    StudentValidated,
)

NEAR_SECONDS: Final = 10.0  # to a deadline: nobody mends anything within it
OVERDUE: Final = timedelta(seconds=2)  # deadlines are looked at five times a second
WAITING_KINDS: Final = frozenset({CauseKind.LAG, CauseKind.INTAKE_CLOSED, CauseKind.ON_ITS_WAY})


def _last_event(facts: Facts) -> type[Event]:
    """Name the last thing that was said of a pending enrollment, by the rows."""
    reservation, claim = facts.step(Service.CAPACITY), facts.step(Service.STUDENT)
    if reservation is not None and reservation.is_answered:
        return SeatUnavailable if reservation.state == "refused" else SeatReserved
    if claim is not None and claim.state == "refused":
        return StudentRejected
    return EnrollmentOpened if claim is None else StudentValidated


def _hop(facts: Facts) -> Hop:
    """Say which reaction is awaited, as the choreography has it."""
    event = _last_event(facts)
    return next(hop_of(event, one.service) for one in REACTIONS if one.on is event)


def _since(facts: Facts, hop: Hop) -> datetime | None:
    """Tell since when a hop is awaited: by the writer's row."""
    row = facts.enrollment
    if hop.topic == ENROLLMENT_EVENTS.name and row is not None:
        return row.opened_at
    step = facts.step(Service.CAPACITY if hop.topic == CAPACITY_EVENTS.name else Service.STUDENT)
    return step.decided_at if step is not None else None


def pending(facts: Facts, row: EnrollmentRow, now: datetime, usual: timedelta) -> Judged:
    hop, deadline_at = _hop(facts), row.deadline_at
    since = _since(facts, hop)
    found = obstacle(facts, hop, now, usual)
    overdue_by = now - deadline_at if deadline_at is not None else -OVERDUE
    if found is None and overdue_by > OVERDUE:
        found = process_trouble(facts, Service.ENROLLMENT)
    if found is None:
        found = _clock_off(facts, now) or unobstructed(facts, hop, since, now, usual)
    remaining = -overdue_by.total_seconds()
    is_late = found.cause.kind is not CauseKind.ON_ITS_WAY
    if is_late and found.cause.kind in WAITING_KINDS and 0 < remaining <= NEAR_SECONDS:
        assert deadline_at is not None
        found = _near(deadline_at, remaining, found)
    where = f"it is pending, and waits for {hop.reader} to react to {hop.event_type}"
    verdict = Verdict.STUCK if is_late else Verdict.FINE
    return Judged("pending", where, found, verdict, since, hop.reader)


def _near(deadline_at: datetime, remaining: float, behind: Finding) -> Finding:
    sentence = (
        f"its deadline is in {remaining:.1f} s, at {clock(deadline_at)}; {behind.cause.sentence}"
    )
    text = (
        f"Nothing: it will be rejected at {clock(deadline_at)} by its deadline, unless it is "
        "decided before, and all that it holds is given back."
    )
    return finding(behind.cause.service, CauseKind.DEADLINE_NEAR, sentence, Next(text))


def unobstructed(
    facts: Facts, hop: Hop, since: datetime | None, now: datetime, usual: timedelta
) -> Finding:
    if since is None or now - since <= usual:
        text = "Wait a moment: this takes less than a second as a rule."
        sentence = f"{hop.reader} has had no time to react yet"
        return finding(
            hop.reader, CauseKind.ON_ITS_WAY, sentence, look_again(facts.enrollment_id, text)
        )
    if not facts.is_searched:
        sentence = f"nothing is in the way that can be seen without the messages of {hop.topic}"
        to_do = look_again(facts.enrollment_id, "Look for its messages.")
        return finding(hop.reader, CauseKind.UNEXPLAINED, sentence, to_do)
    message = message_of(facts, hop)
    sentence = (
        f"{hop.event_type} is in its topic and {hop.reader} has read on, without a trace of it"
        if message is not None
        else f"{hop.event_type} was found neither in an outbox nor in what was read of its topic"
    )
    text = "See what the tables and topics contradict each other in; the deadline ends it meanwhile"
    return finding(hop.reader, CauseKind.UNEXPLAINED, sentence, Next(f"{text}.", "enroll audit"))


def _clock_off(facts: Facts, now: datetime) -> Finding | None:
    errors = clock_errors(facts, now)
    if not errors:
        return None
    return endings.clock_off(max(errors.items(), key=lambda one: abs(one[1])))
