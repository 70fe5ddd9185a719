"""Students and sections for many requests of which each is a whole saga and ends with a seat.

A student asks once in each term, for one section of the term; there are as many terms as it takes.
Sections have a seat for everybody, cost no credits and meet at no time, so none of the requests is
refused: each is opened, validated with a claim, given a seat, and confirmed.
"""

from collections.abc import Iterator
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Final

from loadtests.day.importing import publish_and_wait
from loadtests.jmeter.data_files import (
    AMPLE_SEATS,
    AMPLE_SECTIONS,
    Row,
    made_up_sections,
    write_rows,
)
from shared.events import StudentPublished
from shared.identifiers import StudentId, Term

STUDENTS_MAX: Final = 10_000  # so that a student asks again after seconds, not at once
NO_TOKEN: Final = "-"  # by Kafka none is needed  # noqa: S105


def make_whole_sagas(folder: Path, kafka_url: str, run: str, requests: int) -> None:
    """Import what so many requests need, and write a row for each."""
    students = [StudentId(f"{run}-{n:05}") for n in range(min(requests, STUDENTS_MAX))]
    terms = [Term(f"{run}-{n:03}") for n in range(ceil(requests / len(students)))]
    publish_and_wait(
        kafka_url,
        [
            *(one for t in terms for one in made_up_sections(t, AMPLE_SECTIONS, AMPLE_SEATS)),
            *(StudentPublished(version=1, student_id=one, max_credits=0) for one in students),
        ],
    )
    folder.mkdir(parents=True, exist_ok=True)
    rows = islice(_rows(students, terms), requests)
    write_rows(folder / "students.csv", "student,token,term", rows)


def _rows(students: list[StudentId], terms: list[Term]) -> Iterator[Row]:
    for term in terms:
        for student in students:
            yield student, NO_TOKEN, term
