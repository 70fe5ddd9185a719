"""The registration rules: each looks at a request and gives every reason against it.

To add a rule, write its function and a line in RULES; its text is in shared/reasons.py.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.student.model import Claim, Slot, slots_of
from shared.events import (
    EnrollmentOpened,
    Reason,
    ReasonCode,
    SectionPublished,
    StudentPublished,
    Window,
)
from shared.identifiers import CourseId, SectionId
from shared.reasons import Text, fitting, one_of, reason


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that a rule may look at: who asks for what, what she holds already, and when.

    `sections` has those of the request and those of `held`, as the catalog describes them now,
    as far as it knows them. A student who is not in the catalog is None.
    """

    event: EnrollmentOpened
    student: StudentPublished | None
    sections: Mapping[SectionId, SectionPublished]
    held: Sequence[Claim]
    now: datetime

    def known(self) -> Iterator[SectionPublished]:
        """Give the requested sections that the catalog has, in the order of the request."""
        return (self.sections[s] for s in self.event.sections if s in self.sections)

    def held_ids(self) -> list[SectionId]:
        """Name the sections of this term that the student holds already."""
        return [section_id for claim in self.held for section_id in claim.sections]

    def new(self) -> Iterator[SectionPublished]:
        """Give the requested sections that are known and not held already."""
        held = set(self.held_ids())
        return (section for section in self.known() if section.section_id not in held)

    def others(self) -> Iterator[SectionPublished]:
        """Give the held sections that the catalog has."""
        return (self.sections[s] for s in self.held_ids() if s in self.sections)


Rule = Callable[[Request], Iterator[Reason]]


def known_student(request: Request) -> Iterator[Reason]:
    """The student must be in the catalog."""
    if request.student is None:
        yield reason(ReasonCode.UNKNOWN_STUDENT, student=request.event.student_id)


def known_sections(request: Request) -> Iterator[Reason]:
    """Every section must be in the catalog of the term; whether it is open, capacity says."""
    for section_id in request.event.sections:
        if section_id not in request.sections:
            yield reason(ReasonCode.UNKNOWN_SECTION, section_id)


def no_student_hold(request: Request) -> Iterator[Reason]:
    """Any hold blocks every request; one reason each."""
    for hold in request.student.holds if request.student else ():
        yield reason(ReasonCode.STUDENT_HOLD, hold=hold.code)


def within_window(request: Request) -> Iterator[Reason]:
    """Of the student's windows for the term one must be open, by the time of this decision.

    A window is open from `opens_at` until just before `closes_at`; without any, it always is.
    """
    windows = [
        window
        for window in (request.student.windows if request.student else ())
        if window.term == request.event.term
    ]
    if windows and not any(w.opens_at <= request.now < w.closes_at for w in windows):
        yield reason(
            ReasonCode.OUTSIDE_WINDOW, term=request.event.term, windows=_show_windows(windows)
        )


def _show_windows(windows: Sequence[Window]) -> Text:
    bounds = [(_show(w.opens_at), _show(w.closes_at)) for w in windows]
    return one_of(
        [Text(f"{opens} to {closes}", f"de {opens} a {closes}") for opens, closes in bounds]
    )


def _show(moment: datetime) -> str:
    """Show it in the zone it was written in: the earliest and the latest have no other."""
    return f"{moment:%Y-%m-%d %H:%M} {moment.tzname()}"


def not_enrolled_already(request: Request) -> Iterator[Reason]:
    """A student has at most one pending or confirmed enrollment in a section."""
    held = set(request.held_ids())
    for section_id in request.event.sections:
        if section_id in held:
            yield reason(ReasonCode.ALREADY_ENROLLED, section_id)


def one_section_of_a_course_part(request: Request) -> Iterator[Reason]:
    """Nobody takes two lectures of one course; a section without a part is outside this rule."""
    taken: dict[tuple[CourseId, str], SectionId] = {}
    for section in request.others():
        if section.part is not None:
            taken[section.course_id, section.part] = section.section_id
    for section in request.new():
        if section.part is None:
            continue
        other = taken.setdefault((section.course_id, section.part), section.section_id)
        if other != section.section_id:
            yield reason(
                ReasonCode.SAME_COURSE_PART,
                section.section_id,
                course=section.course_id,
                part=section.part,
                other=other,
            )


def prerequisites_completed(request: Request) -> Iterator[Reason]:
    """Of each list of prerequisites, one course must be completed; one reason a list."""
    if request.student is None:
        return
    completed = frozenset(request.student.completed_courses)
    for section in request.new():
        for courses in section.prerequisites:
            if completed.isdisjoint(courses):
                yield reason(ReasonCode.PREREQUISITE, section.section_id, courses=_names(courses))


def _names(courses: Sequence[CourseId]) -> Text:
    return one_of([Text(course, course) for course in courses])


def corequisites_taken(request: Request) -> Iterator[Reason]:
    """Each corequisite must be in the same request, in a claim held, or completed.

    A section is not its own: of its own course it requires another section.
    """
    if request.student is None:
        return
    completed = frozenset(request.student.completed_courses)
    taken = Counter(section.course_id for section in (*request.new(), *request.others()))
    for section in request.new():
        for course in section.corequisites:
            is_taken = taken[course] > (course == section.course_id)
            if not is_taken and course not in completed:
                yield reason(ReasonCode.COREQUISITE, section.section_id, course=course)


def no_time_conflict(request: Request) -> Iterator[Reason]:
    """No section may meet while another of the request, or one held, does; one reason each."""
    taken = [slot for claim in request.held for slot in claim.slots]
    for section in request.new():  # one that is held already would only clash with itself
        slots = slots_of(section.section_id, section.meetings)
        other = _first_clash(slots, taken)
        if other is not None:
            yield reason(ReasonCode.TIME_CONFLICT, section.section_id, other=other)
        taken.extend(slots)


def _first_clash(slots: Sequence[Slot], taken: Sequence[Slot]) -> SectionId | None:
    for slot in slots:
        for other in taken:
            if slot.clashes_with(other):
                return other.section_id
    return None


def within_credit_limit(request: Request) -> Iterator[Reason]:
    """Credits claimed in the term and asked for must not exceed the student's limit."""
    if request.student is None:
        return
    claimed = sum(claim.credits for claim in request.held)
    asked = sum(section.credits for section in request.new())
    limit = request.student.max_credits
    if claimed + asked > limit:
        yield reason(ReasonCode.CREDIT_LIMIT, claimed=claimed, asked=asked, limit=limit)


RULES: Final[tuple[Rule, ...]] = (
    known_student,
    known_sections,
    no_student_hold,
    within_window,
    not_enrolled_already,
    one_section_of_a_course_part,
    prerequisites_completed,
    corequisites_taken,
    no_time_conflict,
    within_credit_limit,
)


def reasons_against(request: Request) -> tuple[Reason, ...]:
    """Give every reason against a request, in the order of the rules, then of its sections."""
    return fitting(found for rule in RULES for found in rule(request))
