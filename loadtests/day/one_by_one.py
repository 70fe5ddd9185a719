"""The reference: requests served one after another, by all rules, with nothing in parallel."""

from collections.abc import Iterable, Iterator

from loadtests.day.request_file import Request
from shared.events import Meeting, SectionPublished, StudentPublished
from shared.identifiers import SectionId, StudentId


class Student:
    """What a student may have, and has."""

    def __init__(self, max_credits: int) -> None:
        self.credits_left = max_credits
        self.sections: dict[SectionId, SectionPublished] = {}


def serve_one_by_one(
    sections: Iterable[SectionPublished],
    students: Iterable[StudentPublished],
    requests: Iterable[Request],
) -> Iterator[bool]:
    """Say of each request, in order, whether it is confirmed."""
    catalog = {section.section_id: section for section in sections}
    seats = {section_id: section.capacity for section_id, section in catalog.items()}
    known = {student.student_id: Student(student.max_credits) for student in students}
    for request in requests:
        yield _serve(request, catalog, seats, known)


def _serve(
    request: Request,
    catalog: dict[SectionId, SectionPublished],
    seats: dict[SectionId, int],
    students: dict[StudentId, Student],
) -> bool:
    student = students.get(request.student_id)
    if student is None or any(section_id not in catalog for section_id in request.sections):
        return False
    asked = [catalog[section_id] for section_id in request.sections]
    credits_asked = sum(section.credits for section in asked)
    if credits_asked > student.credits_left or not _fits(asked, student):
        return False
    if any(seats[section_id] <= 0 for section_id in request.sections):
        return False
    for section in asked:
        seats[section.section_id] -= 1
        student.sections[section.section_id] = section
    student.credits_left -= credits_asked
    return True


def _fits(asked: list[SectionPublished], student: Student) -> bool:
    """Tell whether no section is held already, or meets while one held or asked for does."""
    taken = list(student.sections.values())
    for section in asked:
        if section.section_id in student.sections or any(_clash(section, o) for o in taken):
            return False
        taken.append(section)
    return True


def _clash(one: SectionPublished, other: SectionPublished) -> bool:
    return any(_meet_at_once(a, b) for a in one.meetings for b in other.meetings)


def _meet_at_once(one: Meeting, other: Meeting) -> bool:
    return (
        one.start_minute < other.end_minute
        and other.start_minute < one.end_minute
        and _share_a_bit(one.days, other.days)
        and _share_a_bit(one.weeks, other.weeks)
    )


def _share_a_bit(one: str, other: str) -> bool:
    return any(a == b == "1" for a, b in zip(one, other, strict=False))
