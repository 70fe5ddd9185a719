"""Makes students, sections and enrollments, and has the student service react to them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from services.student.handlers import REACTIONS
from services.student.model import Claim, State
from shared.choreography import SECTION_CATALOG, STUDENT_CATALOG, TOPIC_OF
from shared.events import (
    EnrollmentCancelled,
    EnrollmentOpened,
    EnrollmentRejected,
    Event,
    Meeting,
    SectionPublished,
    SectionWithdrawn,
    Stage,
    StudentPublished,
    StudentRejected,
    StudentValidated,
    StudentWithdrawn,
)
from shared.identifiers import (
    EnrollmentId,
    EventId,
    SectionId,
    SectionKey,
    StudentId,
    Term,
)
from shared.message import Arrival, Message
from shared.reaction import Folded, fold

NOW = datetime(2026, 1, 12, 8, 0, tzinfo=UTC)
TERM = Term("2026-1")
NEXT_TERM = Term("2026-2")
MONDAY, TUESDAY = "1000000", "0100000"


def enrollment(number: int) -> EnrollmentId:
    return EnrollmentId(UUID(int=number))


def meeting(start: int, end: int, *, days: str = MONDAY, weeks: str = "1" * 16) -> Meeting:
    return Meeting(days=days, weeks=weeks, start_minute=start, end_minute=end)


def section(
    section_id: str,
    *meetings: Meeting,
    worth: int = 3,
    version: int = 1,
    term: Term = TERM,
    **more: Any,
) -> SectionPublished:
    """Make a section, of a course of its own unless `more` says otherwise."""
    fields = {
        "version": version,
        "term": term,
        "section_id": section_id,
        "course_id": f"course-{section_id}",
        "capacity": 30,
        "credits": worth,
        "meetings": meetings,
    }
    return SectionPublished.model_validate(fields | more)


def student(
    student_id: str = "S1", *, max_credits: int = 100, version: int = 1, **more: Any
) -> StudentPublished:
    fields = {"version": version, "student_id": student_id, "max_credits": max_credits}
    return StudentPublished.model_validate(fields | more)


def window(opens: float, closes: float, term: Term = TERM) -> dict[str, object]:
    """A window that opens and closes so many seconds from now."""
    bounds = {"opens_at": timedelta(seconds=opens), "closes_at": timedelta(seconds=closes)}
    return {"term": term, **{name: NOW + distance for name, distance in bounds.items()}}


def opened(
    number: int, *sections: str, student_id: str = "S1", term: Term = TERM
) -> EnrollmentOpened:
    return EnrollmentOpened(
        enrollment_id=enrollment(number),
        student_id=StudentId(student_id),
        term=term,
        sections=tuple(SectionId(s) for s in sections),
        deadline_at=NOW,
    )


def rejected(number: int, *sections: str, student_id: str = "S1") -> EnrollmentRejected:
    return EnrollmentRejected(
        enrollment_id=enrollment(number),
        student_id=StudentId(student_id),
        term=TERM if sections else None,
        sections=tuple(SectionId(s) for s in sections) or None,
        stage=Stage.DEADLINE,
        reasons=(),
    )


def cancelled(
    number: int,
    *sections: str,
    student_id: str = "S1",
    was: Literal["pending", "confirmed"] = "confirmed",
) -> EnrollmentCancelled:
    return EnrollmentCancelled(
        enrollment_id=enrollment(number),
        student_id=StudentId(student_id),
        term=TERM,
        sections=tuple(SectionId(s) for s in sections),
        was=was,
    )


def withdrawn(section_id: str) -> SectionWithdrawn:
    return SectionWithdrawn(key=SectionKey(TERM, SectionId(section_id)))


def arrival(event: Event) -> Arrival:
    catalog = STUDENT_CATALOG if isinstance(event, StudentWithdrawn) else SECTION_CATALOG
    topic = TOPIC_OF.get(type(event), catalog).name
    message = Message(topic, 0, 0, None, b"{}", ())
    return Arrival(message, EventId(UUID(int=0)), event, None)


def fresh() -> State:
    return State(claims={}, students={}, sections={})


def apply(state: State, events: Sequence[Event]) -> Folded:
    return fold(state, [arrival(event) for event in events], set(), REACTIONS, NOW)


def said(state: State, *events: Event) -> list[Event]:
    """Let student react to events; give what it says. None of them may raise."""
    folded = apply(state, events)
    assert folded.parked == []
    return [one.event for one in folded.emitted]


def knowing(*catalog: SectionPublished | StudentPublished) -> State:
    state = fresh()
    assert said(state, *catalog) == []
    return state


def claim_of(state: State, number: int) -> Claim:
    claim = state.claims.get(enrollment(number))
    assert claim is not None
    return claim


def codes(events: list[Event]) -> list[tuple[str, str | None]]:
    """Give the reasons of the one refusal that was said."""
    (event,) = events
    assert isinstance(event, StudentRejected)
    return [(reason.code, reason.section_id) for reason in event.reasons]


def is_validated(events: list[Event]) -> bool:
    return [type(event) for event in events] == [StudentValidated]
