"""Judges an id of which enrollment has no request: did it come in, and where is it?"""

from datetime import datetime, timedelta

from services.cli.why.causes import (
    CauseKind,
    Finding,
    Judged,
    Next,
    Verdict,
    finding,
    look_again,
)
from services.cli.why.facts import EnrollmentRow, Facts, Found
from services.cli.why.obstacles import (
    REQUEST_HOP,
    Hop,
    obstacle,
    parked,
    process_trouble,
)
from services.cli.why.pending import unobstructed
from shared.choreography import REQUESTS, Service


def _request_messages(facts: Facts) -> list[Found]:
    return [one for one in facts.messages if one.place.topic == REQUESTS.name]


def unknown(facts: Facts, now: datetime, usual: timedelta) -> Judged:
    messages = _request_messages(facts)
    where = "enrollment does not know it: its request has not been decided"
    since = min((one.logged_at for one in messages if one.logged_at), default=None)
    found = parked(facts, REQUEST_HOP)
    if found is None and (messages or facts.topics is None):
        event_type = messages[-1].event_type if messages else REQUEST_HOP.event_type
        hop = Hop(event_type, REQUESTS.name, None, Service.ENROLLMENT)
        found = obstacle(facts, hop, now, usual) or unobstructed(facts, hop, since, now, usual)
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
    if unread > looked_at:
        sentence += ", so it may be among those that nobody has looked at"
    if database.unreadable:
        to_do = Next(
            "See whether it is among them.", "enroll dead-letters list --service enrollment"
        )
    else:
        text = "Have whoever asked ask again: the same request is decided once, however often sent."
        to_do = look_again(facts.enrollment_id, text)
    return finding("outside", CauseKind.NEVER_ARRIVED, sentence, to_do)


def unopened(facts: Facts, row: EnrollmentRow, now: datetime, usual: timedelta) -> Judged:
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
