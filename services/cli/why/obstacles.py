"""Judges one step of the saga that has not come: what keeps an event from having its effect."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.cli.why.causes import (
    CauseKind,
    Finding,
    clock,
    finding,
    look_again,
    replay_letter,
    restart,
    seconds,
    show_letter,
    status,
)
from services.cli.why.causes import Next as ToDo
from services.cli.why.facts import DatabaseFacts, Facts, Found, Letter, ProcessFacts
from shared.choreography import FROM_OUTSIDE, TOPIC_OF, Service
from shared.events import EnrollmentCancellationRequested, EnrollmentRequested, Event
from shared.identifiers import PartitionKey
from shared.message import Unreadability

UNREADABLE: Final = frozenset(one.value for one in Unreadability)
HELD: Final = "held"


@dataclass(frozen=True, slots=True)
class Hop:
    """An event on its way from its writer to the reaction of a reader."""

    event_type: str
    topic: str
    writer: str | None  # None: systems outside
    reader: str


def hop_of(event: type[Event], reader: str) -> Hop:
    """Say by the choreography where an event goes."""
    topic = TOPIC_OF[event]
    return Hop(event.__name__, topic.name, topic.writer, reader)


def message_of(facts: Facts, hop: Hop) -> Found | None:
    """Find the event of a hop in its topic: the last, where there are several."""
    messages = facts.messages
    found = [m for m in messages if m.place.topic == hop.topic and m.event_type == hop.event_type]
    return found[-1] if found else None


REQUEST_HOP: Final = hop_of(EnrollmentRequested, Service.ENROLLMENT)
CANCEL_HOP: Final = hop_of(EnrollmentCancellationRequested, Service.ENROLLMENT)


def is_unread(facts: Facts, hop: Hop) -> bool:
    """Tell whether the event of a hop is in its topic, and its reader has not read it."""
    message, database = message_of(facts, hop), facts.databases.get(hop.reader)
    if message is None or database is None:
        return False
    return message.offset >= database.offsets.get(message.place, 0)


def obstacle(facts: Facts, hop: Hop, now: datetime, usual: timedelta) -> Finding | None:
    """Give the first thing that keeps a hop from being done; None where there is none to see."""
    return (
        parked(facts, hop)
        or server_down(facts, "postgres")
        or _tables_away(facts, hop.reader)
        or server_down(facts, "kafka")
        or _unpublished(facts, hop, now, usual)
        or _unread(facts, hop, now, usual)
    )


def server_down(facts: Facts, name: str) -> Finding | None:
    """A server that gives no answer stops everybody who needs it."""
    if facts.servers.get(name, True):
        return None
    why = next((one.why for one in facts.unseen if one.what.startswith(name)), "")
    sentence = why if "does not answer" in why else f"{name} does not answer: {why}"
    text = "Start it again: the services wait for it, and nothing is dropped."
    to_do = restart(name, text) if facts.processes is not None else status(text)
    return finding(name, CauseKind.SERVER_DOWN, sentence, to_do)


def _tables_away(facts: Facts, service: str) -> Finding | None:
    """Without its tables nobody can tell whether a service has reacted."""
    why = next((one.why for one in facts.unseen if one.what == f"postgres/{service}"), None)
    if why is None:
        return None
    sentence = f"the tables of {service} cannot be read: {why}"
    to_do = status(f"See whether {service} has ever run here, and start it.")
    return finding(service, CauseKind.NO_DATA, sentence, to_do)


def parked(facts: Facts, hop: Hop) -> Finding | None:
    """A dead letter of this enrollment in this topic keeps what comes behind it."""
    own = [
        one
        for one in facts.letters
        if one.service == hop.reader and one.topic == hop.topic and one.about is None
    ]
    mine = [one for one in own if one.event_type == hop.event_type and one.reason != HELD]
    holding = [one for one in own if one.holds and one.reason != HELD]
    if mine and mine[0] == (holding or mine)[0]:
        return _letter(mine[0])
    if holding:
        return _held(holding[0], hop)
    unreadable = [one for one in own if one.reason in UNREADABLE]
    if not unreadable or is_unread(facts, hop):  # it was sent again
        return None
    return _letter(unreadable[-1])


def _letter(letter: Letter) -> Finding:
    what = letter.event_type or f"a message ({letter.topic}/{letter.partition}/{letter.offset})"
    sentence = (
        f"{letter.service} has parked {what} as dead letter {letter.id} at "
        f"{clock(letter.parked_at)}: {letter.reason}, {letter.detail}"
    )
    if letter.reason not in UNREADABLE:
        to_do = replay_letter(
            letter.service,
            letter.id,
            "Mend what the reason names, then replay it: where it fails again, nothing is changed; "
            "with --dry-run it says beforehand what would come of it.",
        )
        return finding(letter.service, CauseKind.DEAD_LETTER, sentence, to_do)
    is_version = letter.reason == Unreadability.UNKNOWN_VERSION
    kind = CauseKind.UNKNOWN_VERSION if is_version else CauseKind.UNREADABLE
    to_do = show_letter(letter.service, letter.id, _unreadable_advice(letter))
    return finding(letter.service, kind, sentence, to_do)


def _unreadable_advice(letter: Letter) -> str:
    if letter.topic in FROM_OUTSIDE:
        text = "Look at it, and have its sender send it again in the form that is read"
        return f"{text}: the same id may be used."
    text = f"Look at it, and run a version of {letter.service} that reads it before you replay it"
    return f"{text}; the deadline ends the enrollment meanwhile, and nothing is lost."


def _held(first: Letter, hop: Hop) -> Finding:
    sentence = (
        f"{first.service} keeps {hop.event_type} behind dead letter {first.id} "
        f"({first.event_type}, parked at {clock(first.parked_at)}: {first.reason}, {first.detail})"
    )
    text = "Mend what the reason names, then replay the first: those behind it go with it, in order"
    to_do = replay_letter(first.service, first.id, f"{text}, all or none.")
    return finding(first.service, CauseKind.HELD, sentence, to_do)


def process_trouble(facts: Facts, service: str, dependency: str = "") -> Finding | None:
    """Tell whether a service has no process that works; breakers only of this dependency."""
    if facts.processes is None:
        return _no_session(facts, service)
    own = [one for one in facts.processes if one.service == service]
    if not own:
        return None
    alive = [one for one in own if one.is_alive]
    if not alive:
        return _down(own[0])
    answering = [one for one in alive if one.is_answering]
    if not answering:
        return _silent(alive[0])
    return _breaker(answering, dependency)


def _no_session(facts: Facts, service: str) -> Finding | None:
    """Where processes cannot be asked, the database knows whether any is connected."""
    database = facts.databases.get(service)
    if database is None or database.sessions:
        return None
    sentence = f"no process of {service} is connected to its database"
    to_do = status(f"Start {service} where it is run.")
    return finding(service, CauseKind.PROCESS_DOWN, sentence, to_do)


def _down(process: ProcessFacts) -> Finding:
    sentence = f"no process of {process.service} runs ({process.name} is {process.state})"
    to_do = restart(process.name, "Start it: it goes on where it was.")
    return finding(process.service, CauseKind.PROCESS_DOWN, sentence, to_do)


def _silent(process: ProcessFacts) -> Finding:
    sentence = f"{process.name} runs ({process.state}) and does not answer"
    text = "Restart it, unless it is starting: what it has not committed, it does again."
    to_do = restart(process.name, text)
    return finding(process.service, CauseKind.PROCESS_SILENT, sentence, to_do)


def _breaker(answering: list[ProcessFacts], dependency: str) -> Finding | None:
    for one in answering:
        breakers = [name for name in one.open_breakers if name.endswith(dependency)]
        if breakers:
            sentence = f"{one.name} has given up calling for now: breaker {', '.join(breakers)}"
            text = (
                "See why it does not reach that server, though others do; the breaker closes "
                "by itself when it does."
            )
            return finding(one.service, CauseKind.BREAKER_OPEN, sentence, status(text))
    return None


def _unpublished(facts: Facts, hop: Hop, now: datetime, usual: timedelta) -> Finding | None:
    """An event that is in its writer's outbox still has not gone out."""
    database = facts.databases.get(hop.writer or "")
    if hop.writer is None or database is None:
        return None
    own = [one.since for one in database.outbox_own if one.event_type == hop.event_type]
    if not own and not facts.is_searched and database.outbox_oldest_at is not None:
        own = [database.outbox_oldest_at]
    if not own:
        return None
    dead = process_trouble(facts, hop.writer)
    if dead is not None and dead.cause.kind is not CauseKind.BREAKER_OPEN:
        return dead
    return _blocked(facts, hop.writer, database, now) if now - own[0] > usual else None


def _blocked(facts: Facts, writer: str, database: DatabaseFacts, now: datetime) -> Finding:
    oldest = database.outbox_oldest_at or now
    breakers = [
        breaker
        for one in facts.processes or ()
        if one.service == writer
        for breaker in one.open_breakers
    ]
    lease = database.lease
    holder = "nobody has the right to publish"
    if lease is not None:
        name = lease.application or "a session without a name"
        holder = f"the right to publish has {name} (pid {lease.pid})"
    sentence = (
        f"{database.outbox_depth} events wait in the outbox of {writer}, the oldest since "
        f"{clock(oldest)} ({seconds(now - oldest)}): {holder}"
    ) + (f", its breaker {', '.join(breakers)} is open" if breakers else "")
    if lease is not None and not lease.application.startswith(f"{writer}-"):
        ending = f'psql -d {writer} -c "SELECT pg_terminate_backend({lease.pid})"'
        text = "End that session: it has the right to publish, and is no process of the service."
        to_do = ToDo(text, ending)
    elif breakers:
        to_do = status("See why it does not reach Kafka, though others do.")
    else:
        to_do = restart(writer, "Restart it: what may have gone out goes out once more, unharmed.")
    return finding(writer, CauseKind.OUTBOX_BLOCKED, sentence, to_do)


def _unread(facts: Facts, hop: Hop, now: datetime, usual: timedelta) -> Finding | None:
    """An event that is in its topic has not been read, or its reader cannot."""
    database, message = facts.databases.get(hop.reader), message_of(facts, hop)
    if database is None or facts.topics is None:
        return process_trouble(facts, hop.reader)
    waiting = _waiting_partition(facts, hop, database, message)
    if waiting is not None:
        return waiting
    if message is not None and not is_unread(facts, hop):
        return None
    return (
        process_trouble(facts, hop.reader)
        or _closed(facts, hop)
        or _lag(facts, hop, database, now, usual)
    )


def _places(facts: Facts, hop: Hop, message: Found | None) -> list[PartitionKey]:
    if message is not None:
        return [message.place]
    return [one for one in (facts.topics.extents if facts.topics else ()) if one.topic == hop.topic]


def _waiting_partition(
    facts: Facts, hop: Hop, database: DatabaseFacts, message: Found | None
) -> Finding | None:
    """A partition whose next offset is not in the log is read by nobody until somebody helps."""
    assert facts.topics is not None
    for place in _places(facts, hop, message):
        extent, position = facts.topics.extents[place], database.offsets.get(place)
        if position is None or extent.begin <= position <= extent.end:
            continue
        name = _process_of(facts, hop.reader)
        sentence = (
            f"{hop.reader} does not read {place.topic}/{place.partition}: its next offset "
            f"{position} is not in the log, which has {extent.begin} to {extent.end}"
        )
        text = f"Restore the log or the database of {hop.reader}, whichever lost something; then"
        to_do = restart(name, f"{text} restart it.")
        return finding(hop.reader, CauseKind.PARTITION_WAITS, sentence, to_do)
    return None


def _process_of(facts: Facts, service: str) -> str:
    names = [one.name for one in facts.processes or () if one.service == service]
    return names[0] if names else service


def _closed(facts: Facts, hop: Hop) -> Finding | None:
    closing = [
        one.name
        for one in facts.processes or ()
        if one.service == hop.reader and hop.topic in one.closed_topics
    ]
    if not closing:
        return None
    sentence = (
        f"{closing[0]} does not read {hop.topic} at the moment: too many enrollments are pending, "
        "or it is reading the catalogs first"
    )
    text = "Wait: it costs no deadline, and it reads on as outcomes go out."
    return finding(
        hop.reader, CauseKind.INTAKE_CLOSED, sentence, look_again(facts.enrollment_id, text)
    )


def _lag(
    facts: Facts, hop: Hop, database: DatabaseFacts, now: datetime, usual: timedelta
) -> Finding | None:
    assert facts.topics is not None
    message = message_of(facts, hop)
    behind = {
        place: facts.topics.extents[place].end - database.offsets.get(place, 0)
        for place in _places(facts, hop, message)
    }
    if not any(count > 0 for count in behind.values()):
        return None
    place = max(behind, key=behind.__getitem__)
    first_at = facts.topics.first_unread.get((hop.reader, place))
    if first_at is not None and now - first_at <= usual:
        return None
    sentence = (
        f"{hop.reader} runs and is {behind[place]} messages behind in "
        f"{place.topic}/{place.partition}"
    )
    if first_at is not None:
        sentence += f": the first that it has not read is of {clock(first_at)}"
        sentence += f" ({seconds(now - first_at)} ago)"
    if message is not None:
        ahead = message.offset - database.offsets.get(place, 0)
        sentence += f"; {ahead} come before this one"
    text = "Wait, and see whether the number falls: what it reads late, it decides all the same."
    return finding(hop.reader, CauseKind.LAG, sentence, look_again(facts.enrollment_id, text))
