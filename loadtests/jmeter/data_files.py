"""Puts students and sections into a running system, and writes the CSV files that the plans read.

Each call makes terms of its own, so that no run meets the enrollments of another: sections and
limits count per term. The students stay the same.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from loadtests.day.dataset import Dataset
from loadtests.day.importing import Say, import_datasets
from shared.events import SectionPublished
from shared.identifiers import CourseId, SectionId, Term

DAY: Final = Path(__file__).parents[1] / "data" / "pu-cs-fal07"
FILES: Final = {
    "inscription.csv",
    "students.csv",
    "rush.csv",
    "rush_sections.csv",
    "idempotency.csv",
    "staff.csv",
}
AMPLE_SECTIONS: Final = 50  # named S000 to S049; the plans draw from S010 to S049
AMPLE_SEATS: Final = 1_000_000
RUSH_SECTIONS: Final = 5
STAFF: Final = "jmeter"
SIGNERS: Final = 2  # signing leaves the interpreter to others for most of its time

Sign = Callable[[str], str]
Row = Sequence[object]


@dataclass(frozen=True)
class Wishes:
    """How much of it there is to be."""

    run: str
    days: int = 3  # how often the day's requests are there, each time in a term of its own
    rush_seats: int = 20  # of each section that too many want
    idempotent_requests: int = 200
    repeats: int = 5  # of each of them, at the same moment


@dataclass(frozen=True)
class Signers:
    """How tokens are made."""

    student: Sign
    staff: Sign


def make_data(
    folder: Path, day: Dataset, kafka_url: str, wishes: Wishes, *, signers: Signers, say: Say
) -> None:
    """Import what the plans need, then write their files."""
    terms = [_in_term(day, _term(day.term, wishes.run, n + 1)) for n in range(wishes.days)]
    ample = _made_up(day, Term(f"ample-{wishes.run}"), AMPLE_SECTIONS, AMPLE_SEATS)
    rush = _made_up(day, Term(f"rush-{wishes.run}"), RUSH_SECTIONS, wishes.rush_seats)
    for one in (*terms, ample, rush):
        import_datasets(kafka_url, [one], lambda _: None)
    say(f"imported {len(day.students):,} students and {len(terms) + 2} terms with sections")
    say("signing the students' tokens")
    tokens = _tokens([student.student_id for student in day.students], signers.student)
    folder.mkdir(parents=True, exist_ok=True)
    staff = signers.staff(STAFF)
    files: list[tuple[str, str, Iterable[Row]]] = [
        ("inscription.csv", "student,token,term,sections,key", _of_the_day(terms, tokens)),
        ("students.csv", "student,token,term", ((s, t, ample.term) for s, t in tokens.items())),
        ("rush.csv", "student,token,term,section,key", _of_the_rush(rush, tokens)),
        ("rush_sections.csv", "token,term,section,capacity", _seats(rush, staff)),
        ("idempotency.csv", "student,token,term,section,key", _repeated(ample, tokens, wishes)),
        ("staff.csv", "token", [(staff,)]),
    ]
    for name, header, rows in files:
        write_rows(folder / name, header, rows)
    assert {name for name, _, _ in files} == FILES
    say(f"wrote the plans' files to {folder}")


def _term(term: str, run: str, number: int) -> Term:
    return Term(f"{term}-{run}-{number}")


def _in_term(day: Dataset, term: Term) -> Dataset:
    sections = tuple(one.model_copy(update={"term": term}) for one in day.sections)
    return Dataset(day.name, term, sections, day.students, day.requests)


def _made_up(day: Dataset, term: Term, count: int, seats: int) -> Dataset:
    return Dataset(str(term), term, made_up_sections(term, count, seats), day.students)


def made_up_sections(term: Term, count: int, seats: int) -> tuple[SectionPublished, ...]:
    """Make sections that cost no credits and meet at no time, so that only seats matter."""
    names = [f"S{number:03}" for number in range(count)]
    return tuple(
        SectionPublished(
            version=1,
            term=term,
            section_id=SectionId(name),
            course_id=CourseId(name),
            capacity=seats,
            credits=0,
        )
        for name in names
    )


def _of_the_day(terms: Sequence[Dataset], tokens: Mapping[str, str]) -> Iterator[Row]:
    for day in terms:
        for request in day.requests:
            student, sections = request.student_id, json.dumps(request.sections)
            yield student, tokens[student], day.term, sections, f"{day.term}-{request.line}"


def _of_the_rush(rush: Dataset, tokens: Mapping[str, str]) -> Iterator[Row]:
    sections = [section.section_id for section in rush.sections]
    for number, (student, token) in enumerate(tokens.items()):
        section = sections[number % len(sections)]
        yield student, token, rush.term, section, f"{rush.term}-{student}"


def _seats(rush: Dataset, staff: str) -> Iterator[Row]:
    for section in rush.sections:
        yield staff, rush.term, section.section_id, section.capacity


def _repeated(ample: Dataset, tokens: Mapping[str, str], wishes: Wishes) -> Iterator[Row]:
    """Write each request as often as it is repeated, one row after the other."""
    section = ample.sections[0].section_id
    for student, token in islice(tokens.items(), wishes.idempotent_requests):
        row = (student, token, ample.term, section, f"{ample.term}-{student}")
        yield from [row] * wishes.repeats


def _tokens(ids: Sequence[str], sign: Sign) -> dict[str, str]:
    with ThreadPoolExecutor(SIGNERS) as pool:
        return dict(zip(ids, pool.map(sign, ids), strict=True))


def write_rows(path: Path, header: str, rows: Iterable[Row]) -> None:
    """Write a file as JMeter's CSV Data Set reads it."""
    with path.open("w", newline="") as file:
        file.write(f"{header}\n")
        csv.writer(file, lineterminator="\n").writerows(rows)
