"""Reads a set of registration data, and says of every line that is wrong what to do about it."""

import json
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from loadtests.day.rows import BadLine, Row, identifier_problem, read_rows, show
from shared.errors import EnrollmentSystemError
from shared.events import INTEGER_MAX, SECTIONS_MAX, Meeting, SectionPublished, StudentPublished
from shared.identifiers import CourseId, SectionId, StudentId, Term

SECTIONS_FILE: Final = "sections.csv"
STUDENTS_FILE: Final = "students.csv"
REQUESTS_FILE: Final = "requests.jsonl"
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


@dataclass(frozen=True, slots=True)
class Request:
    """One line of requests.jsonl."""

    line: int
    student_id: StudentId
    sections: tuple[SectionId, ...]


@dataclass(frozen=True)
class Dataset:
    """A registration day; its catalog entries have no version yet."""

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
    found = Term(term or _term_of(folder, bad_lines))
    problem = identifier_problem("the term", found)
    if problem is not None:
        raise BadDatasetError([BadLine(folder.name, 1, f"{problem}, or name one with --term")])
    sections = _sections(folder, found, bad_lines)
    students = _students(folder, bad_lines)
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
        requests = _requests(folder, None, bad_lines)
    else:
        requests = _requests(folder, dataset.term, bad_lines)
    if bad_lines:
        raise BadDatasetError(sorted(set(bad_lines)))
    return Dataset(dataset.name, dataset.term, dataset.sections, dataset.students, requests)


def _sections(folder: Path, term: Term, bad: list[BadLine]) -> tuple[SectionPublished, ...]:
    rows = read_rows(folder / SECTIONS_FILE, SECTION_COLUMNS, bad)
    return _entries(
        SECTIONS_FILE, rows, lambda row: _section(row, term), lambda entry: entry.section_id, bad
    )


def _students(folder: Path, bad: list[BadLine]) -> tuple[StudentPublished, ...]:
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
    if row.problems:
        return None
    return SectionPublished(
        version=UNPUBLISHED,
        term=term,
        section_id=section_id,
        course_id=course_id,
        capacity=capacity,
        credits=credits_,
        meetings=meetings,
    )


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


def _student(row: Row) -> StudentPublished | None:
    student_id = StudentId(row.identifier("student_id"))
    max_credits = row.number("max_credits", INTEGER_MAX)
    if row.problems:
        return None
    return StudentPublished(version=UNPUBLISHED, student_id=student_id, max_credits=max_credits)


def _term_of(folder: Path, bad: list[BadLine]) -> str:
    """Take the term of the first request, or else the folder's name."""
    if not (folder / REQUESTS_FILE).exists():
        return folder.resolve().name
    for _, line in _lines(folder, bad):
        term = _object(line).get("term")
        if isinstance(term, str):
            return term
    return folder.resolve().name


def _requests(folder: Path, term: Term | None, bad: list[BadLine]) -> tuple[Request, ...]:
    requests = []
    for number, line in _lines(folder, bad):
        fields = _object(line)
        problems = list(_request_problems(fields, term))
        bad.extend(BadLine(REQUESTS_FILE, number, problem) for problem in problems)
        if not problems:
            requests.append(Request(number, fields["student_id"], tuple(fields["sections"])))
    if not requests and not any(line.file == REQUESTS_FILE for line in bad):
        bad.append(BadLine(REQUESTS_FILE, 1, "it has no requests: add one at least"))
    return tuple(requests)


def _lines(folder: Path, bad: list[BadLine]) -> Iterator[tuple[int, str]]:
    try:
        text = (folder / REQUESTS_FILE).read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        bad.append(BadLine(REQUESTS_FILE, 1, f"{error.strerror}: put the file there"))
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line


def _object(line: str) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _request_problems(fields: dict[str, Any], term: Term | None) -> Iterator[str]:
    if not fields:
        yield "it is no JSON object: write student_id, term and sections"
        return
    if (problem := identifier_problem("student_id", fields.get("student_id"))) is not None:
        yield problem
    if term is not None and fields.get("term") != term:
        yield f"term is {show(fields.get('term'))}: write {term}, as in the first line"
    sections = fields.get("sections")
    if not isinstance(sections, list) or not 1 <= len(sections) <= SECTIONS_MAX:
        yield f"sections is {show(sections)}: write a list of 1 to {SECTIONS_MAX} section ids"
        return
    problems = [identifier_problem("a section", section) for section in sections]
    yield from (problem for problem in problems if problem is not None)
    if not any(problems) and len(set(sections)) != len(sections):
        yield "it names a section twice: name each once"
