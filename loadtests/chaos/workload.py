"""What the client asks for and when: made up, by a seed alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count
from random import Random
from typing import Final
from uuid import UUID

from shared.events import SectionPublished, StudentPublished
from shared.identifiers import CourseId, EnrollmentId, EventId, SectionId, StudentId, Term

TERM: Final = Term("chaos")
VERSION: Final = 1
SECTIONS_A_REQUEST_MAX: Final = 3
UNKNOWN_STUDENT: Final = StudentId("chaos-unknown")

# Of every request, how likely it is to come with one of these, and how long after it at most.
CANCEL_SHARE, CANCEL_SECONDS_MAX = 0.10, 20.0
EARLY_CANCEL_SHARE, EARLY_SECONDS_MAX = 0.02, 1.0
REPEAT_SHARE, REPEAT_SECONDS_MAX = 0.08, 30.0
OTHER_BODY_SHARE, OTHER_BODY_SECONDS_MAX = 0.04, 10.0
UNKNOWN_SHARE: Final = 0.01


class Asks(StrEnum):
    """What a message asks for."""

    SEATS = "seats"
    CANCEL = "cancel"


@dataclass(frozen=True)
class Message:
    """One message to the topic of requests; `sections` is empty in a cancel."""

    at_seconds: float
    asks: Asks
    event_id: EventId
    enrollment_id: EnrollmentId
    student_id: StudentId
    sections: tuple[SectionId, ...] = ()


@dataclass(frozen=True)
class Campus:
    """The sections with their seats, and the students."""

    seats: dict[SectionId, int]
    students: Sequence[StudentId]
    credits_max: int

    def catalog(self) -> list[SectionPublished | StudentPublished]:
        """Give it as catalog entries: sections of one credit that clash with nothing."""
        sections = [
            SectionPublished(
                version=VERSION,
                term=TERM,
                section_id=section,
                course_id=CourseId(section),
                capacity=capacity,
                credits=1,
            )
            for section, capacity in self.seats.items()
        ]
        students = [
            StudentPublished(version=VERSION, student_id=one, max_credits=self.credits_max)
            for one in self.students
        ]
        return [*sections, *students]


def scarce_campus(random: Random, requests: int) -> Campus:
    """Make one where some requests are refused: sections fill up, and students reach limits."""
    sections = [SectionId(f"S{number:03}") for number in range(40)]
    wanted = requests * (1 + SECTIONS_A_REQUEST_MAX) / 2 / len(sections)
    seats = {section: max(1, int(wanted * random.uniform(0.3, 1.7))) for section in sections}
    students = [StudentId(f"P{number:05}") for number in range(max(10, requests // 4))]
    return Campus(seats, students, credits_max=8)


def plan_load(
    random: Random, campus: Campus, requests: int, requests_per_second: float
) -> list[Message]:
    """Spread the requests evenly, with cancels, repeats and contradictions among them."""
    end_seconds = requests / requests_per_second
    messages = [
        message
        for number in range(requests)
        for message in _with_company(random, campus, number / requests_per_second)
    ]
    in_time = (replace(one, at_seconds=min(one.at_seconds, end_seconds)) for one in messages)
    return sorted(in_time, key=lambda message: message.at_seconds)


def _with_company(random: Random, campus: Campus, at_seconds: float) -> Iterator[Message]:
    is_unknown = random.random() < UNKNOWN_SHARE
    student = UNKNOWN_STUDENT if is_unknown else random.choice(campus.students)
    enrollment_id = EnrollmentId(_new_id(random))

    def message(asks: Asks, after_seconds: float, sections: tuple[SectionId, ...]) -> Message:
        moment = max(0.0, at_seconds + after_seconds)
        return Message(moment, asks, EventId(_new_id(random)), enrollment_id, student, sections)

    sections = _some_sections(random, campus)
    yield message(Asks.SEATS, 0.0, sections)
    if random.random() < CANCEL_SHARE:
        yield message(Asks.CANCEL, random.uniform(0.0, CANCEL_SECONDS_MAX), ())
    if random.random() < EARLY_CANCEL_SHARE:
        yield message(Asks.CANCEL, -random.uniform(0.0, EARLY_SECONDS_MAX), ())
    if random.random() < REPEAT_SHARE:
        yield message(Asks.SEATS, random.uniform(0.0, REPEAT_SECONDS_MAX), sections)
    if random.random() < OTHER_BODY_SHARE:
        after_seconds = random.uniform(0.0, OTHER_BODY_SECONDS_MAX)
        yield message(Asks.SEATS, after_seconds, _some_sections(random, campus))


def _some_sections(random: Random, campus: Campus) -> tuple[SectionId, ...]:
    count = random.randint(1, SECTIONS_A_REQUEST_MAX)
    return tuple(random.sample(list(campus.seats), count))


def _new_id(random: Random) -> UUID:
    return UUID(int=random.getrandbits(128), version=4)


def ample_campus(students: int, sections: int) -> Campus:
    """Make one where every request of `steady_load` is confirmed."""
    seats = {SectionId(f"S{number:03}"): students for number in range(sections)}
    people = [StudentId(f"P{number:05}") for number in range(students)]
    return Campus(seats, people, credits_max=sections)


def steady_load(random: Random, campus: Campus, requests_per_second: float) -> Iterator[Message]:
    """Ask for one section each, until every student has asked for all of them."""
    numbers = count()
    for section in campus.seats:
        for student in campus.students:
            yield Message(
                at_seconds=next(numbers) / requests_per_second,
                asks=Asks.SEATS,
                event_id=EventId(_new_id(random)),
                enrollment_id=EnrollmentId(_new_id(random)),
                student_id=student,
                sections=(section,),
            )
