"""Everything known of one enrollment, from all topics and tables, side by side."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from loadtests.auditor.contract import CANCELLED, CONFIRMED, REJECTED
from loadtests.auditor.events import Event
from loadtests.auditor.history import History
from loadtests.auditor.report import Awaited, Invariant, Violation
from loadtests.auditor.requests import Kind, Request
from loadtests.auditor.tables import (
    ClaimRow,
    Conflict,
    EnrollmentRow,
    Excuses,
    ReservationRow,
    Tables,
)


@dataclass(slots=True)
class Story:
    """`is_excused` where a parked event keeps it from coming to rest.

    `discarded` has the types of its events that an operator gave up.
    """

    enrollment_id: str
    is_excused: bool = False
    discarded: set[str] = field(default_factory=set)
    requests: list[Request] = field(default_factory=list)
    cancels: list[Request] = field(default_factory=list)
    events: dict[str, list[Event]] = field(default_factory=dict)
    enrollment: EnrollmentRow | None = None
    claim: ClaimRow | None = None
    reservation: ReservationRow | None = None
    conflicts: list[Conflict] = field(default_factory=list)

    def has(self, *event_types: str) -> bool:
        """Tell whether any of these was said."""
        return not self.events.keys().isdisjoint(event_types)

    def first(self, *event_types: str) -> Event | None:
        """Give the first event of the first of these types that was said."""
        for event_type in event_types:
            if event_type in self.events:
                return self.events[event_type][0]
        return None

    def all_events(self) -> Iterator[Event]:
        """Give every event, type by type."""
        for events in self.events.values():
            yield from events

    @property
    def outcome(self) -> Event | None:
        """Give the last outcome."""
        return self.first(CANCELLED, REJECTED, CONFIRMED)

    @property
    def end(self) -> Event | None:
        """Give the event that ended it and asks for everything back."""
        return self.first(CANCELLED, REJECTED)

    def violation(
        self, invariant: Invariant, text: str, awaited: Awaited | None = None
    ) -> Violation:
        """Say what is wrong with it, and what it waits for where something is only missing."""
        return Violation(invariant, f"enrollment {self.enrollment_id}", text, awaited)


StoryJudge = Callable[[Story], Iterator[Violation]]


def tell_stories(history: History, tables: Tables, excuses: Excuses) -> list[Story]:
    """Put together what belongs to each enrollment."""
    stories = _Stories()
    for request in history.requests:
        story = stories[request.enrollment_id]
        (story.cancels if request.kind is Kind.CANCEL else story.requests).append(request)
    for event in history.events:
        stories[event.enrollment_id].events.setdefault(event.type, []).append(event)
    _add_rows(stories, tables)
    for enrollment_id in excuses.parked:
        stories[enrollment_id].is_excused = True
    for enrollment_id, event_type in excuses.discarded:
        if enrollment_id in stories:
            stories[enrollment_id].discarded.add(event_type)
    return list(stories.values())


class _Stories(dict[str, Story]):
    def __missing__(self, enrollment_id: str) -> Story:
        self[enrollment_id] = Story(enrollment_id)
        return self[enrollment_id]


def _add_rows(stories: _Stories, tables: Tables) -> None:
    for enrollment in tables.enrollments.values():
        stories[enrollment.enrollment_id].enrollment = enrollment
    for claim in tables.claims.values():
        stories[claim.enrollment_id].claim = claim
    for reservation in tables.reservations.values():
        stories[reservation.enrollment_id].reservation = reservation
    for conflict in tables.conflicts:
        stories[conflict.enrollment_id].conflicts.append(conflict)
