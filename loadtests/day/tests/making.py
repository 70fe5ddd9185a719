"""Makes the sections, students and requests that tests are about."""

from loadtests.day.dataset import Dataset
from loadtests.day.request_file import Request
from shared.events import Hold, Meeting, SectionPublished, StudentPublished
from shared.identifiers import CourseId, SectionId, StudentId, Term


def section(
    name: str,
    *meetings: Meeting,
    version: int = 0,
    capacity: int = 9,
    credit_count: int = 3,
    term: str = "fall",
) -> SectionPublished:
    return SectionPublished(
        version=version,
        term=Term(term),
        section_id=SectionId(name),
        course_id=CourseId(name),
        capacity=capacity,
        credits=credit_count,
        meetings=meetings,
    )


def student(
    name: str, *, version: int = 0, max_credits: int = 18, holds: tuple[Hold, ...] = ()
) -> StudentPublished:
    return StudentPublished(
        version=version, student_id=StudentId(name), max_credits=max_credits, holds=holds
    )


def request(line: int, who: str, *sections: str) -> Request:
    return Request(line, StudentId(who), tuple(SectionId(name) for name in sections))


def dataset(
    *requests: Request,
    sections: tuple[SectionPublished, ...] = (),
    students: tuple[StudentPublished, ...] = (),
) -> Dataset:
    return Dataset("set", Term("fall"), sections, students, requests)
