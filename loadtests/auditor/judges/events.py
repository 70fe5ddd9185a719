"""Judge an enrollment's events by themselves: one for each change, in order, in one place."""

from collections.abc import Iterable, Iterator
from typing import Final

from loadtests.auditor.contract import (
    CANCELLED,
    CLAIM_RELEASED,
    CONFIRMED,
    INELIGIBLE,
    OPENED,
    REJECTED,
    SEAT_RELEASED,
    SEAT_RESERVED,
    SEAT_UNAVAILABLE,
    VALIDATED,
)
from loadtests.auditor.events import Event
from loadtests.auditor.report import Invariant, Violation
from loadtests.auditor.stories import Story

NEVER_BOTH: Final = (
    (CONFIRMED, REJECTED, Invariant.ONE_OUTCOME),
    (REJECTED, CANCELLED, Invariant.ONE_OUTCOME),
    (VALIDATED, INELIGIBLE, Invariant.ONE_EVENT),
    (SEAT_RESERVED, SEAT_UNAVAILABLE, Invariant.ONE_EVENT),
)
IN_THIS_ORDER: Final = (
    (OPENED, CONFIRMED),
    (OPENED, REJECTED),
    (OPENED, CANCELLED),
    (CONFIRMED, CANCELLED),
    (VALIDATED, CLAIM_RELEASED),
    (SEAT_RESERVED, SEAT_RELEASED),
)


def one_event_per_change(story: Story) -> Iterator[Violation]:
    """Every change happens once, and is told by one event."""
    for event_type, events in story.events.items():
        if len(events) > 1:
            text = f"{len(events)} {event_type} of different ids, at most 1 is right"
            yield story.violation(Invariant.ONE_EVENT, text)
    for one, other, invariant in NEVER_BOTH:
        if story.has(one) and story.has(other):
            yield story.violation(invariant, f"both {one} and {other}")


def in_order(story: Story) -> Iterator[Violation]:
    """Within a topic, what came first stands first."""
    for before, after in IN_THIS_ORDER:
        earlier, later = story.first(before), story.first(after)
        if earlier and later and earlier.offset > later.offset:
            text = f"{before} at offset {earlier.offset} after {after} at {later.offset}"
            yield story.violation(Invariant.DELIVERY, f"{text} of {later.topic}")


def keyed_and_traced(story: Story) -> Iterator[Violation]:
    """Every event is keyed by its student and continues one trace."""
    for event in story.all_events():
        if event.key != event.student_id:
            text = f"{event.type} is keyed by {event.key}, its student is {event.student_id}"
            yield story.violation(Invariant.DELIVERY, text)
        if event.traceparents != 1:
            text = f"{event.type} has {event.traceparents} traceparent headers instead of 1"
            yield story.violation(Invariant.DELIVERY, text)


def one_partition_for_each_student(events: Iterable[Event]) -> Iterator[Violation]:
    """A key leads to one partition, the same in every topic of the saga: all have as many."""
    first: dict[str, Event] = {}
    for event in events:
        known = first.setdefault(event.student_id, event)
        if event.partition != known.partition:
            text = (
                f"{event.type} of enrollment {event.enrollment_id} is in partition "
                f"{event.partition} of {event.topic}, other events are in {known.partition}"
            )
            yield Violation(Invariant.DELIVERY, f"student {event.student_id}", text)


def of_one_request(story: Story) -> Iterator[Violation]:
    """All events of an enrollment name the same student and the same sections."""
    first = story.first(OPENED, VALIDATED, SEAT_RESERVED, CONFIRMED, CANCELLED, REJECTED)
    if first is None:
        return
    for event in story.all_events():
        if event.student_id != first.student_id:
            text = f"{first.type} is of student {first.student_id}, {event.type} of"
            yield story.violation(Invariant.ONE_OUTCOME, f"{text} {event.student_id}")
        if (event.term, event.sections) != (first.term, first.sections):
            text = (
                f"{first.type} names {first.term}/{','.join(first.sections)}, "
                f"{event.type} {event.term}/{','.join(event.sections)}"
            )
            yield story.violation(Invariant.ALL_OR_NOTHING, text)


def seats_in_all_sections(story: Story) -> Iterator[Violation]:
    """Seats are taken, and given back, in exactly the sections of the enrollment."""
    for event_type in (SEAT_RESERVED, SEAT_RELEASED):
        for event in story.events.get(event_type, ()):
            found = sorted(seat.section_id for seat in event.seats)
            if found != sorted(event.sections):
                text = f"{event_type} moves seats in {len(found)} sections ({','.join(found)})"
                wanted = f"the enrollment has {len(event.sections)} ({','.join(event.sections)})"
                yield story.violation(Invariant.ALL_OR_NOTHING, f"{text}, {wanted}")


EVENT_JUDGES: Final = (
    one_event_per_change,
    in_order,
    keyed_and_traced,
    of_one_request,
    seats_in_all_sections,
)
