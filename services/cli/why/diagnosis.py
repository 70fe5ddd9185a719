"""Judges the facts about one enrollment: a pure function, which trusts no service's opinion."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from services.cli.why import endings
from services.cli.why.causes import (
    USUAL_SECONDS,
    CauseKind,
    Diagnosis,
    Finding,
    Next,
    Verdict,
    clock,
    finding,
    look_again,
    seconds,
    status,
)
from services.cli.why.clocks import clock_errors
from services.cli.why.endings import Judged
from services.cli.why.facts import EnrollmentRow, Facts, Found
from services.cli.why.happenings import happened
from services.cli.why.obstacles import (
    Hop,
    hop_of,
    message_of,
    obstacle,
    parked,
    process_trouble,
    server_down,
)
from shared.choreography import CAPACITY_EVENTS, ENROLLMENT_EVENTS, REACTIONS, REQUESTS, Service
from shared.events import (
    EnrollmentCancellationRequested,
    EnrollmentOpened,
    EnrollmentRequested,
    Event,
    SeatReserved,
    SeatUnavailable,
    StudentRejected,
    StudentValidated,
)

NEAR_SECONDS: Final = 10.0  # to a deadline: nobody mends anything within it
OVERDUE: Final = timedelta(seconds=2)  # deadlines are looked at five times a second
REQUEST_HOP: Final = hop_of(EnrollmentRequested, Service.ENROLLMENT)
CANCEL_HOP: Final = hop_of(EnrollmentCancellationRequested, Service.ENROLLMENT)
WAITING_KINDS: Final = frozenset({CauseKind.LAG, CauseKind.INTAKE_CLOSED, CauseKind.ON_ITS_WAY})


def diagnose(facts: Facts, now: datetime, usual_seconds: float = USUAL_SECONDS) -> Diagnosis:
    """Say where the enrollment is, what it waits for since when, the first cause, what to do."""
    usual = timedelta(seconds=usual_seconds)
    judged = _judge(facts, now, usual)
    row = facts.enrollment
    messages = facts.topics.messages if facts.topics is not None else ()
    students = [one.student_id for one in messages if one.student_id is not None]
    return Diagnosis(
        enrollment_id=facts.enrollment_id,
        student_id=row.student_id if row is not None else next(iter(students), None),
        state=judged.state,
        where=judged.where,
        since=judged.since,
        waits_for=judged.waits_for,
        deadline_at=row.deadline_at if row is not None and row.state == "pending" else None,
        finding=judged.finding,
        verdict=judged.verdict,
        notes=[*_deadline(row, now), *_notes(facts, judged, now)],
        happened=happened(facts),
        unseen=[f"{one.what} could not be seen: {one.why}" for one in facts.unseen],
    )


def _judge(facts: Facts, now: datetime, usual: timedelta) -> Judged:
    if "enrollment" not in facts.databases:
        return _blind(facts)
    row = facts.enrollment
    if row is None:
        return _unknown(facts, now, usual)
    match row.state:
        case "unopened":
            return _unopened(facts, row, now, usual)
        case "pending":
            return _pending(facts, row, now, usual)
        case "confirmed":
            return _cancel_on_its_way(facts, now, usual) or endings.confirmed(facts, row)
        case _:
            return endings.ended(facts, row, now, usual)


def _blind(facts: Facts) -> Judged:
    """Without enrollment's table only the topics tell, and they may be behind it."""
    down = server_down(facts, "postgres") or finding(
        Service.ENROLLMENT,
        CauseKind.NO_DATA,
        "enrollment's database cannot be read: "
        + next((one.why for one in facts.unseen if one.what == "postgres/enrollment"), "why?"),
        status("See whether enrollment has ever run here, and start it once."),
    )
    messages = facts.topics.messages if facts.topics is not None else ()
    if not messages:
        where = "nothing can be seen of it: the tables are away, and its messages were not found"
        return Judged("unseen", where, down, Verdict.UNSEEN)
    last = max(messages, key=_logged)
    where = (
        f"the tables are away; the last that the topics have of it is {last.event_type} "
        f"({last.place.topic}/{last.place.partition}, offset {last.offset})"
    )
    return Judged("unseen", where, down, Verdict.UNSEEN, last.logged_at)


def _logged(message: Found) -> float:
    return message.logged_at.timestamp() if message.logged_at is not None else 0.0


# Pending: which step has not come?


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


def _pending(facts: Facts, row: EnrollmentRow, now: datetime, usual: timedelta) -> Judged:
    hop, deadline_at = _hop(facts), row.deadline_at
    since = _since(facts, hop)
    found = obstacle(facts, hop, now, usual)
    overdue_by = now - deadline_at if deadline_at is not None else -OVERDUE
    if found is None and overdue_by > OVERDUE:
        found = process_trouble(facts, Service.ENROLLMENT)
    if found is None:
        found = _clock_off(facts, now) or _unobstructed(facts, hop, since, now, usual)
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


def _unobstructed(
    facts: Facts, hop: Hop, since: datetime | None, now: datetime, usual: timedelta
) -> Finding:
    if since is None or now - since <= usual:
        text = "Wait a moment: this takes less than a second as a rule."
        sentence = f"{hop.reader} has had no time to react yet"
        return finding(
            hop.reader, CauseKind.ON_ITS_WAY, sentence, look_again(facts.enrollment_id, text)
        )
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


# No row, or none of a request.


def _request_messages(facts: Facts) -> list[Found]:
    messages = facts.topics.messages if facts.topics is not None else ()
    return [one for one in messages if one.place.topic == REQUESTS.name]


def _unknown(facts: Facts, now: datetime, usual: timedelta) -> Judged:
    messages = _request_messages(facts)
    where = "enrollment does not know it: its request has not been decided"
    since = min((one.logged_at for one in messages if one.logged_at), default=None)
    found = parked(facts, REQUEST_HOP)
    if found is None and (messages or facts.topics is None):
        event_type = messages[-1].event_type if messages else REQUEST_HOP.event_type
        hop = Hop(event_type, REQUESTS.name, None, Service.ENROLLMENT)
        found = obstacle(facts, hop, now, usual) or _unobstructed(facts, hop, since, now, usual)
    if found is None:
        return Judged("unknown", "nobody knows it", _never_arrived(facts), Verdict.STUCK)
    is_late = found.cause.kind is not CauseKind.ON_ITS_WAY
    verdict = Verdict.STUCK if is_late else Verdict.FINE
    return Judged("unknown", where, found, verdict, since, Service.ENROLLMENT)


def _never_arrived(facts: Facts) -> Finding:
    """Requests come in by the ingress or from outside systems, into one topic."""
    down = process_trouble(facts, "ingress", "kafka") or process_trouble(facts, Service.ENROLLMENT)
    if down is not None:
        return down
    database, topics = facts.databases[Service.ENROLLMENT], facts.topics
    unread = sum(
        max(0, extent.end - database.offsets.get(place, 0))
        for place, extent in (topics.extents if topics is not None else {}).items()
        if place.topic == REQUESTS.name
    )
    looked_at = topics.looked_at if topics is not None else 0
    sentence = (
        f"no request of this id came in: it is in no table, and not among the last {looked_at} "
        f"messages of the topics; enrollment has {unread} requests to read, and "
        f"{database.unreadable} parked messages that name no enrollment"
    )
    if database.unreadable:
        to_do = Next(
            "See whether it is among them.", "enroll dead-letters list --service enrollment"
        )
    else:
        text = "Have whoever asked ask again: the same request is decided once, however often sent."
        to_do = look_again(facts.enrollment_id, text)
    return finding("outside", CauseKind.NEVER_ARRIVED, sentence, to_do)


def _unopened(facts: Facts, row: EnrollmentRow, now: datetime, usual: timedelta) -> Judged:
    has_request = any(one.event_type == REQUEST_HOP.event_type for one in _request_messages(facts))
    found = parked(facts, REQUEST_HOP)
    if found is None and has_request:
        found = obstacle(facts, REQUEST_HOP, now, usual)
    if found is None:
        sentence = "its cancel came before its request, which has not come"
        text = (
            "Nothing: it is cancelled as soon as its request comes, and holds no seat. "
            "Have whoever asked ask again, if it should come."
        )
        found = finding(
            Service.ENROLLMENT,
            CauseKind.CANCEL_WAITING,
            sentence,
            look_again(facts.enrollment_id, text),
        )
    where = "it was cancelled before its request came, and waits for it"
    return Judged("unopened", where, found, Verdict.STUCK, row.decided_at, Service.ENROLLMENT)


def _cancel_on_its_way(facts: Facts, now: datetime, usual: timedelta) -> Judged | None:
    """A confirmed enrollment whose cancel is not read yet, or is parked."""
    message = message_of(facts, CANCEL_HOP)
    database = facts.databases[Service.ENROLLMENT]
    is_unread = message is not None and message.offset >= database.offsets.get(message.place, 0)
    blocked = parked(facts, CANCEL_HOP)
    if not is_unread and blocked is None:
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


# What else is to be said.


def _deadline(row: EnrollmentRow | None, now: datetime) -> Iterator[str]:
    if row is None or row.state != "pending" or row.deadline_at is None:
        return
    remaining = row.deadline_at - now
    if remaining > timedelta():
        yield (
            f"undecided, it will be rejected at {clock(row.deadline_at)} by its deadline, "
            f"in {seconds(remaining)}"
        )
    else:
        yield f"its deadline was at {clock(row.deadline_at)}, {seconds(-remaining)} ago"


def _notes(facts: Facts, judged: Judged, now: datetime) -> Iterator[str]:
    for service, ahead in clock_errors(facts, now).items():
        which = "ahead of" if ahead > timedelta() else "behind"
        yield f"the clock of {service} is at least {seconds(abs(ahead))} {which} the others"
    if not facts.servers.get("redis", True):
        yield (
            "Redis does not answer: nothing is lost, answers to HTTP come without the cache, "
            "and repeats are told by the database"
        )
    shown = judged.finding.cause.sentence
    for letter in facts.letters:
        if f"dead letter {letter.id} " not in shown:
            yield (
                f"{letter.service} has parked {letter.event_type or letter.topic} as dead letter "
                f"{letter.id}: {letter.reason}"
            )
    for one in facts.processes or ():
        if one.open_breakers and one.name not in shown:
            yield f"{one.name} has a breaker that is not closed: {', '.join(one.open_breakers)}"
    if facts.topics is not None and not facts.topics.is_whole:
        yield "the topics could not be read to their ends in time: a message may be there unseen"
