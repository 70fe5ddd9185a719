"""Reads sections.csv and students.csv as entries of the catalogs that have no version yet."""

from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from loadtests.day.csv_files import read_rows
from loadtests.day.rows import BadLine, Row
from shared.events import (
    INTEGER_MAX,
    SECTIONS_MAX,
    Meeting,
    SectionPublished,
    SectionState,
    StudentPublished,
)
from shared.identifiers import CourseId, SectionId, StudentId, Term

SECTIONS_FILE: Final = "sections.csv"
STUDENTS_FILE: Final = "students.csv"
SECTION_COLUMNS: Final = (
    "section_id",
    "course_id",
    "capacity",
    "credits",
    "days",
    "weeks",
    "start_minute",
    "end_minute",
)
STUDENT_COLUMNS: Final = ("student_id", "max_credits")
MINUTES_A_DAY: Final = 1440
UNPUBLISHED: Final = 0  # the version of what only a file says so far

Entry = TypeVar("Entry", SectionPublished, StudentPublished)


def read_sections(folder: Path, term: Term, bad: list[BadLine]) -> tuple[SectionPublished, ...]:
    """Read the good lines of sections.csv, and add the others to `bad`.

    A field whose optional column is absent is not among the entry's `model_fields_set`.
    """
    path = folder / SECTIONS_FILE
    rows = read_rows(path, SECTION_COLUMNS, bad, tuple(OPTIONAL_COLUMNS))
    return _entries(
        SECTIONS_FILE, rows, lambda row: _section(row, term), lambda entry: entry.section_id, bad
    )


def read_students(folder: Path, bad: list[BadLine]) -> tuple[StudentPublished, ...]:
    """Read the good lines of students.csv, and add the others to `bad`."""
    rows = read_rows(folder / STUDENTS_FILE, STUDENT_COLUMNS, bad)
    return _entries(STUDENTS_FILE, rows, _student, lambda entry: entry.student_id, bad)


def _entries(
    file: str,
    rows: Iterator[Row],
    read: Callable[[Row], Entry | None],
    key_of: Callable[[Entry], Hashable],
    bad: list[BadLine],
) -> tuple[Entry, ...]:
    """Turn rows into entries; of two rows with the same key the second is bad."""
    entries: dict[Hashable, Entry] = {}
    lines: dict[Hashable, int] = {}
    before = len(bad)
    for row in rows:
        entry = read(row)
        if entry is not None and (first := lines.setdefault(key_of(entry), row.line)) != row.line:
            row.problems.append(f"{key_of(entry)} is in line {first} already: remove one of them")
        elif entry is not None:
            entries[key_of(entry)] = entry
        bad.extend(BadLine(file, row.line, problem) for problem in row.problems)
    if not entries and len(bad) == before:
        bad.append(BadLine(file, 1, "it has no rows: add one at least"))
    return tuple(entries.values())


def _section(row: Row, term: Term) -> SectionPublished | None:
    section_id = SectionId(row.identifier("section_id"))
    course_id = CourseId(row.identifier("course_id"))
    capacity = row.number("capacity", INTEGER_MAX)
    credits_ = row.number("credits", INTEGER_MAX)
    meetings = _meetings(row)
    optional = {name: read(row) for name, read in OPTIONAL_COLUMNS.items() if name in row.cells}
    if row.problems:
        return None
    section = SectionPublished(
        version=UNPUBLISHED,
        term=term,
        section_id=section_id,
        course_id=course_id,
        capacity=capacity,
        credits=credits_,
        meetings=meetings,
    )
    return section.model_copy(update=optional)


def _meetings(row: Row) -> tuple[Meeting, ...]:
    if not row.cells["days"]:
        return ()
    days = row.bits("days", 7, 7, "Monday first, or nothing for no meeting time")
    weeks = row.bits("weeks", 1, 60, "week 1 first")
    start_minute = row.number("start_minute", MINUTES_A_DAY)
    end_minute = row.number("end_minute", MINUTES_A_DAY)
    if not row.problems and end_minute <= start_minute:
        row.problems.append(f"end_minute is {end_minute}: write one after {start_minute}")
    if row.problems:
        return ()
    return (Meeting(days=days, weeks=weeks, start_minute=start_minute, end_minute=end_minute),)


def _part(row: Row) -> str | None:
    return row.text("part") if row.cells["part"] else None


def _state(row: Row) -> SectionState:
    if not row.cells["state"]:
        return SectionState.OPEN
    return SectionState(row.choice("state", [state.value for state in SectionState]))


def _prerequisites(row: Row) -> tuple[tuple[str, ...], ...]:
    return row.lists("prerequisites", SECTIONS_MAX)


def _corequisites(row: Row) -> tuple[str, ...]:
    lists = row.lists("corequisites", SECTIONS_MAX)
    if any(len(courses) > 1 for courses in lists):
        row.problems.append("corequisites has |: each of them is needed, so write ; between them")
    return tuple(courses[0] for courses in lists)


OPTIONAL_COLUMNS: Final[dict[str, Callable[[Row], Any]]] = {
    "part": _part,
    "state": _state,
    "prerequisites": _prerequisites,
    "corequisites": _corequisites,
}


def _student(row: Row) -> StudentPublished | None:
    student_id = StudentId(row.identifier("student_id"))
    max_credits = row.number("max_credits", INTEGER_MAX)
    if row.problems:
        return None
    return StudentPublished(version=UNPUBLISHED, student_id=student_id, max_credits=max_credits)
