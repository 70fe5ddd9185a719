"""Several copies of one set, each with sections and students of its own."""

from loadtests.day.dataset import Dataset
from loadtests.day.kafka import DayError
from loadtests.day.request_file import Request
from loadtests.day.rows import identifier_problem
from shared.events import SectionPublished, StudentPublished
from shared.identifiers import SectionId, StudentId


def copy_of(dataset: Dataset, copy: int) -> Dataset:
    """Give copy 1, which is the set itself, or a later one, whose ids begin with its number."""
    if copy == 1:
        return dataset
    return Dataset(
        name=dataset.name,
        term=dataset.term,
        sections=tuple(_section(section, copy) for section in dataset.sections),
        students=tuple(_student(student, copy) for student in dataset.students),
        requests=tuple(_request(request, copy) for request in dataset.requests),
    )


def _prefixed(name: str, copy: int) -> str:
    prefixed = f"{copy}-{name}"
    if identifier_problem("id", prefixed) is not None:
        raise DayError(f"{prefixed} is longer than 64: shorten the id, or ask for fewer copies")
    return prefixed


def _section(section: SectionPublished, copy: int) -> SectionPublished:
    section_id = _prefixed(section.section_id, copy)
    return section.model_copy(update={"section_id": section_id})


def _student(student: StudentPublished, copy: int) -> StudentPublished:
    return student.model_copy(update={"student_id": _prefixed(student.student_id, copy)})


def _request(request: Request, copy: int) -> Request:
    return Request(
        request.line,
        StudentId(_prefixed(request.student_id, copy)),
        tuple(SectionId(_prefixed(section, copy)) for section in request.sections),
    )
