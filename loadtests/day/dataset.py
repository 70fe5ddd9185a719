"""Reads a set of registration data, and says of every line that is wrong what to do about it."""

from dataclasses import dataclass
from pathlib import Path

from loadtests.day.catalog_files import read_sections, read_students
from loadtests.day.request_file import Request, read_requests, read_term
from loadtests.day.rows import BadLine, identifier_problem
from loadtests.day.student_files import with_student_files
from shared.errors import EnrollmentSystemError
from shared.events import SectionPublished, StudentPublished
from shared.identifiers import Term


@dataclass(frozen=True)
class Dataset:
    """A registration day; its catalog entries have no version yet.

    Of a field that is not in an entry's `model_fields_set`, the set says nothing.
    """

    name: str
    term: Term
    sections: tuple[SectionPublished, ...]
    students: tuple[StudentPublished, ...]
    requests: tuple[Request, ...] = ()


class BadDatasetError(EnrollmentSystemError):
    """A set cannot be imported; the text lists the lines and what to do about each."""

    def __init__(self, bad_lines: list[BadLine]) -> None:
        lines = [str(bad) for bad in bad_lines]
        super().__init__("\n".join(["nothing was imported, for these lines are bad:", *lines]))
        self.bad_lines = bad_lines


def read_catalogs(
    folder: Path, *, term: str | None = None, skip_bad: bool = False
) -> tuple[Dataset, list[BadLine]]:
    """Read the sections and students of a set, and list the bad lines that were left out.

    Raises BadDatasetError if there is any bad line, unless they may be skipped, and if nothing is
    left over.
    """
    bad_lines: list[BadLine] = []
    found = Term(term or read_term(folder, bad_lines))
    problem = identifier_problem("the term", found)
    if problem is not None:
        raise BadDatasetError([BadLine(folder.name, 1, f"{problem}, or name one with --term")])
    sections = read_sections(folder, found, bad_lines)
    students = with_student_files(folder, found, read_students(folder, bad_lines), bad_lines)
    bad_lines.sort()
    if (bad_lines and not skip_bad) or not sections or not students:
        raise BadDatasetError(bad_lines)
    return Dataset(folder.resolve().name, found, sections, students), bad_lines


def read_day(folder: Path) -> Dataset:
    """Read a whole set; raises BadDatasetError if any line of it is bad."""
    bad_lines: list[BadLine] = []
    try:
        dataset, _ = read_catalogs(folder)
    except BadDatasetError as error:
        bad_lines = error.bad_lines
        requests = read_requests(folder, None, bad_lines)
    else:
        requests = read_requests(folder, dataset.term, bad_lines)
    if bad_lines:
        raise BadDatasetError(sorted(set(bad_lines)))
    return Dataset(dataset.name, dataset.term, dataset.sections, dataset.students, requests)
