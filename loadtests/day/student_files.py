"""Reads the optional files about students: holds.csv, windows.csv and completed_courses.csv."""

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtests.day.catalog_files import STUDENTS_FILE
from loadtests.day.csv_files import read_rows
from loadtests.day.rows import BadLine, Row
from shared.events import COMPLETED_COURSES_MAX, SECTIONS_MAX, Hold, StudentPublished, Window
from shared.identifiers import CourseId, StudentId, Term

Key = tuple[Any, ...]  # what tells the rows of one student apart, and puts them in order
_Said = defaultdict[StudentId, dict[Key, int]]  # the lines of each student by their keys


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

    A file with a bad line says nothing of any student.
    A field of which nothing is said is not among the entry's `model_fields_set`.
    """
    known = {student.student_id for student in students}
    for file in STUDENT_FILES:
        if known and os.path.lexists(folder / file.name):
            said = _read(folder, file, known, bad)
            if said is not None:
                students = [_with_field(student, file, term, said) for student in students]
    return tuple(students)


def _read(
    folder: Path, file: StudentFile, known: Collection[StudentId], bad: list[BadLine]
) -> _Said | None:
    """Give what the file says; None if it has a bad line, which may be about any student."""
    said, before = _Said(dict), len(bad)
    for row in read_rows(folder / file.name, file.columns, bad):
        _take(row, file, known, said)
        bad.extend(BadLine(file.name, row.line, problem) for problem in row.problems)
    return said if len(bad) == before else None


def _take(row: Row, file: StudentFile, known: Collection[StudentId], said: _Said) -> None:
    student_id = StudentId(row.identifier("student_id"))
    if not row.problems and student_id not in known:
        row.problems.append(f"{student_id} has no good line in {STUDENTS_FILE}: add or mend it")
    key = file.key_of(row)
    if row.problems:
        return
    lines = said[student_id]
    if key in lines:
        row.problems.append(f"line {lines[key]} says the same: remove one of them")
    elif len(lines) == file.at_most:
        row.problems.append(f"{student_id} has {file.at_most} lines already: remove some")
    else:
        lines[key] = row.line


def _with_field(
    student: StudentPublished, file: StudentFile, term: Term, said: _Said
) -> StudentPublished:
    keys = sorted(said.get(student.student_id, ()))
    entries = tuple(file.entry_of(key, term) for key in keys)
    return student.model_copy(update={file.field: entries})
