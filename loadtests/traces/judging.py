"""What a whole trace has, by the table of the choreography: judged span by span."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from services.cli.traces import TracedSpan
from shared.choreography import REACTIONS, TOPIC_OF, Topic
from shared.events import Event

EDGES: Final = ("process enrollment.requests", "POST /enrollments")
BY_NAME: Final[Mapping[str, type[Event]]] = {event.__name__: event for event in TOPIC_OF}
REACTING: Final = {
    (reaction.on.__name__, str(reaction.service), TOPIC_OF[reaction.on])
    for reaction in REACTIONS
    if isinstance(reaction.on, type)
}


def missing_in(spans: Sequence[TracedSpan], outcome: str) -> list[str]:
    """Name what a trace lacks: its edge, its outcome, a span that another continues or answers."""
    return [
        *_lost_parents(spans),
        *_lost_edge(spans),
        *_lost_outcome(spans, outcome),
        *_lost_events(spans),
        *_lost_reactions(spans),
    ]


def _lost_parents(spans: Sequence[TracedSpan]) -> Iterator[str]:
    known = {span.span_id for span in spans}
    for span in spans:
        if span.parent_id is not None and span.parent_id not in known:
            yield f"what {span.service}: {span.name} continues"


def _lost_edge(spans: Sequence[TracedSpan]) -> Iterator[str]:
    roots = [span for span in spans if span.parent_id is None]
    if [span.name for span in roots if span.name in EDGES] != [span.name for span in roots]:
        yield f"an edge: its roots are {[span.name for span in roots]}"
    if not roots:
        yield "an edge"


def _lost_outcome(spans: Sequence[TracedSpan], outcome: str) -> Iterator[str]:
    told = {span.tags["enrollment.outcome"] for span in spans if "enrollment.outcome" in span.tags}
    if outcome not in told:
        yield f"the outcome {outcome}: it tells {sorted(told)}"


def _lost_events(spans: Sequence[TracedSpan]) -> Iterator[str]:
    """What was emitted waits in the outbox, and is sent."""
    for name in ("outbox", "send"):
        done = {span.event_type for span in spans if span.name.startswith(f"{name} ")}
        for event_type in _emitted(spans) - done:
            yield f"{name} {event_type}"


def _lost_reactions(spans: Sequence[TracedSpan]) -> Iterator[str]:
    """What was sent is read by each service that reacts to it."""
    sent = {span.event_type for span in spans if span.name.startswith("send ")}
    read = {(span.event_type, span.service, span.name) for span in spans}
    for event_type, service, topic in REACTING:
        if event_type in sent and (event_type, service, _process(topic)) not in read:
            yield f"{service}: {_process(topic)} {event_type}"


def _process(topic: Topic) -> str:
    return f"process {topic.name}"


def _emitted(spans: Sequence[TracedSpan]) -> set[str]:
    """Jaeger shows a list as JSON."""
    texts = [str(span.tags.get("enrollment.emitted", "")) for span in spans]
    return {name for name in BY_NAME if any(f'"{name}"' in text for text in texts)}


def service_graph() -> set[tuple[str, str]]:
    """Say which service goes on where which one has been, by the table of the choreography."""
    return {
        (str(reaction.service), follower)
        for reaction in REACTIONS
        for event in reaction.says
        for event_type, follower, _ in REACTING
        if event_type == event.__name__ and isinstance(reaction.on, type)
    }
