"""Puts what happened to an enrollment in the order of its times."""

from collections.abc import Iterator

from services.cli.why.causes import TimedFact
from services.cli.why.facts import Facts, StepRow
from services.enrollment.model import EnrollmentState
from shared.choreography import TOPICS, Service

WRITERS = {topic.name: str(topic.writer or "outside") for topic in TOPICS}
DONE = {
    ("student", "claimed"): "claimed credits and time slots",
    ("capacity", "reserved"): "reserved the seats",
}


def happened(facts: Facts) -> list[TimedFact]:
    """List what rows, topics and dead letters tell, oldest first."""
    return sorted((*_rows(facts), *_messages(facts), *_letters(facts)), key=lambda one: one.at)


def _rows(facts: Facts) -> Iterator[TimedFact]:
    row = facts.enrollment
    if row is not None and row.opened_at is not None:
        yield TimedFact(row.opened_at, Service.ENROLLMENT, "opened it")
    if row is not None and row.decided_at is not None:
        what = (
            "noted its cancel"
            if row.state is EnrollmentState.UNOPENED
            else f"decided: {row.state.value}"
        )
        yield TimedFact(row.decided_at, Service.ENROLLMENT, what)
    for service in (Service.STUDENT, Service.CAPACITY):
        step = facts.step(service)
        if step is not None:
            yield from _step(service, step)


def _step(service: str, step: StepRow) -> Iterator[TimedFact]:
    is_mark = step.released_at is not None and step.released_at == step.decided_at
    if step.decided_at is not None and not is_mark:
        answered = DONE.get((service, step.state), "refused")
        what = "answered" if step.state == "released" else answered
        yield TimedFact(step.decided_at, service, what)
    if step.released_at is not None:
        what = "marked it released" if is_mark else "released it"
        yield TimedFact(step.released_at, service, what)


def _messages(facts: Facts) -> Iterator[TimedFact]:
    for one in facts.messages:
        if one.logged_at is not None:
            topic, partition = one.place
            what = f"{one.event_type or 'a message'} in {topic}/{partition} at {one.offset}"
            yield TimedFact(one.logged_at, WRITERS.get(topic, "outside"), what)


def _letters(facts: Facts) -> Iterator[TimedFact]:
    for one in facts.letters:
        what = f"parked {one.event_type or 'a message'} as dead letter {one.id}: {one.reason}"
        yield TimedFact(one.parked_at, one.service, what)
