"""Reads the optional files about students: holds.csv, windows.csv and completed_courses.csv."""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from loadtests.day.catalog_files import STUDENTS_FILE
from loadtests.day.csv_files import read_rows
from loadtests.day.rows import BadLine, Row
from shared.events import SECTIONS_MAX, Hold, StudentPublished, Window
from shared.identifiers import CourseId, StudentId, Term

COMPLETED_COURSES_MAX: Final = 1000
Key = tuple[Any, ...]  # what tells the rows of one student apart, and puts them in order


@dataclass(frozen=True)
class StudentFile:
    """A file that says one field of its students, in any number of rows each."""

    name: str
    columns: Sequence[str]
    field: str
    at_most: int
    key_of: Callable[[Row], Key]
    entry_of: Callable[[Key, Term], Any]


def _bounds(row: Row) -> Key:
    opens_at, closes_at = row.moment("opens_at"), row.moment("closes_at")
    if not row.problems and closes_at <= opens_at:
        row.problems.append(f"closes_at is {row.cells['closes_at']}: write one after opens_at")
    return opens_at, closes_at


STUDENT_FILES: Final = (
    StudentFile(
        "holds.csv",
        ("student_id", "code"),
        "holds",
        SECTIONS_MAX,
        lambda row: (row.text("code"),),
        lambda key, _: Hold(code=key[0]),
    ),
    StudentFile(
        "windows.csv",
        ("student_id", "opens_at", "closes_at"),
        "windows",
        SECTIONS_MAX,
        _bounds,
        lambda key, term: Window(term=term, opens_at=key[0], closes_at=key[1]),
    ),
    StudentFile(
        "completed_courses.csv",
        ("student_id", "course_id"),
        "completed_courses",
        COMPLETED_COURSES_MAX,
        lambda row: (row.identifier("course_id"),),
        lambda key, _: CourseId(key[0]),
    ),
)


def with_student_files(
    folder: Path, term: Term, students: Sequence[StudentPublished], bad: list[BadLine]
) -> tuple[StudentPublished, ...]:
    """Add what the optional files say of these students; the bad lines go to `bad`.

    A field of which nothing is said is not among the entry's `model_fields_set`.
    """
    known = {student.student_id for student in students}
    for file in STUDENT_FILES:
        if known and os.path.lexists(folder / file.name):
            said = _read(folder, file, known, bad)
            students = [_with_field(student, file, term, said) for student in students]
    return tuple(students)


@dataclass
class _Said:
    """What a file says: the lines of each student by their keys, and where that is in doubt."""

    lines: dict[StudentId, dict[Key, int]] = field(default_factory=dict)
    doubtful: set[StudentId] = field(default_factory=set)
    is_whole: bool = True

    def of(self, student_id: StudentId) -> list[Key] | None:
        """List a student's keys; None, which leaves all as it is, where a bad line may be hers.

        So what has bad lines clears nothing: any of them may have been of a student without lines.
        """
        if student_id in self.doubtful or (not self.is_whole and student_id not in self.lines):
            return None
        return sorted(self.lines.get(student_id, ()))


def _read(
    folder: Path, file: StudentFile, known: Collection[StudentId], bad: list[BadLine]
) -> _Said:
    said, before = _Said(), len(bad)
    for row in read_rows(folder / file.name, file.columns, bad):
        _take(row, file, known, said)
        bad.extend(BadLine(file.name, row.line, problem) for problem in row.problems)
    said.is_whole = len(bad) == before
    return said


def _take(row: Row, file: StudentFile, known: Collection[StudentId], said: _Said) -> None:
    student_id = StudentId(row.identifier("student_id"))
    if not row.problems and student_id not in known:
        row.problems.append(f"{student_id} has no good line in {STUDENTS_FILE}: add or mend it")
    key = file.key_of(row)
    lines = said.lines.get(student_id, {})
    if key in lines and not row.problems:
        row.problems.append(f"line {lines[key]} says the same: remove one of them")
        return
    if len(lines) == file.at_most:
        row.problems.append(f"{student_id} has {file.at_most} lines already: remove some")
    if row.problems:
        said.doubtful.add(student_id)
    else:
        said.lines.setdefault(student_id, {})[key] = row.line


def _with_field(
    student: StudentPublished, file: StudentFile, term: Term, said: _Said
) -> StudentPublished:
    keys = said.of(student.student_id)
    if keys is None:
        return student
    entries = tuple(file.entry_of(key, term) for key in keys)
    return student.model_copy(update={file.field: entries})
