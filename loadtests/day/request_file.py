"""Reads requests.jsonl: who asks for what, in the order of arrival."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtests.day.rows import BadLine, identifier_problem, show
from shared.events import SECTIONS_MAX
from shared.identifiers import SectionId, StudentId, Term

REQUESTS_FILE: Final = "requests.jsonl"


@dataclass(frozen=True, slots=True)
class Request:
    """One line of requests.jsonl."""

    line: int
    student_id: StudentId
    sections: tuple[SectionId, ...]


def read_term(folder: Path, bad: list[BadLine]) -> str:
    """Take the term of the first request, or else the folder's name."""
    if not (folder / REQUESTS_FILE).exists():
        return folder.resolve().name
    for _, line in _lines(folder, bad):
        term = _object(line).get("term")
        if isinstance(term, str):
            return term
    return folder.resolve().name


def read_requests(folder: Path, term: Term | None, bad: list[BadLine]) -> tuple[Request, ...]:
    """Read the good lines, of the term if one is given, and add the others to `bad`."""
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
