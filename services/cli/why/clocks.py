"""Judges by times that contradict each other whose clock is wrong, and by how much at least."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from services.cli.why.facts import Facts, Found
from shared.choreography import REACTIONS, TOPICS

HERE: Final = "this machine"
TOLERANCE: Final = timedelta(seconds=3)  # HTTP's Date counts whole seconds, and may be one old
WRITERS: Final = {topic.name: topic.writer for topic in TOPICS}

# What only one event brings about: what has several causes may have had the other one.
CAUSE_OF: Final = {
    said.__name__: reaction.on.__name__
    for reaction in REACTIONS
    for said in reaction.says
    if isinstance(reaction.on, type) and sum(said in other.says for other in REACTIONS) == 1
}


def clock_errors(facts: Facts, now: datetime) -> Mapping[str, timedelta]:
    """Give of each service whose clock is surely wrong how far it is ahead; negative: behind."""
    ours = _our_error(facts)
    if ours is not None:
        return {HERE: ours}
    found: dict[str, timedelta] = {}
    for service, ahead in (*_by_process(facts), *_by_log(facts), *_by_now(facts, now)):
        if abs(ahead) > TOLERANCE and abs(ahead) > abs(found.get(service, timedelta())):
            found[service] = ahead
    return found


def _our_error(facts: Facts) -> timedelta | None:
    """Where all processes are off alike, it is the clock of this machine that is wrong."""
    ahead = [s for one in facts.processes or () if (s := one.clock_ahead_seconds) is not None]
    services = {one.service for one in facts.processes or () if one.clock_ahead_seconds is not None}
    error = timedelta(seconds=-sum(ahead) / len(ahead)) if ahead else timedelta()
    is_alike = timedelta(seconds=max(ahead, default=0) - min(ahead, default=0)) <= TOLERANCE
    return error if len(services) > 1 and is_alike and abs(error) > TOLERANCE else None


def _by_process(facts: Facts) -> Iterator[tuple[str, timedelta]]:
    for one in facts.processes or ():
        if one.clock_ahead_seconds is not None:
            yield one.service, timedelta(seconds=one.clock_ahead_seconds)


def _by_log(facts: Facts) -> Iterator[tuple[str, timedelta]]:
    """An event cannot be said after the log took it, nor before the log took what caused it."""
    for message in facts.messages:
        writer = WRITERS.get(message.place.topic)
        if writer is None or message.said_at is None or message.logged_at is None:
            continue
        yield writer.value, max(timedelta(), message.said_at - message.logged_at)
        cause_at = _first_logged_at(facts.messages, CAUSE_OF.get(message.event_type))
        if cause_at is not None and cause_at <= message.logged_at:
            yield writer.value, min(timedelta(), message.said_at - cause_at)


def _first_logged_at(messages: Sequence[Found], event_type: str | None) -> datetime | None:
    """The first counts: a repeat causes nothing."""
    found = [one.logged_at for one in messages if one.event_type == event_type and one.logged_at]
    return min(found, default=None)


def _by_now(facts: Facts, now: datetime) -> Iterator[tuple[str, timedelta]]:
    """Nothing was done in the future."""
    row = facts.enrollment
    for at in (row.opened_at, row.decided_at) if row is not None else ():
        if at is not None:
            yield "enrollment", max(timedelta(), at - now)
    for service in ("student", "capacity"):
        step = facts.step(service)
        for at in (step.decided_at, step.released_at) if step is not None else ():
            if at is not None:
                yield service, max(timedelta(), at - now)
