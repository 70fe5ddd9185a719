"""How an export is written: as CSV, as JSON lines, or as enrollments.csv of OneRoster 1.2."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Final, assert_never
from uuid import UUID, uuid5

if TYPE_CHECKING:
    from services.enrollment.store import ConfirmedSeat

COLUMNS: Final = ("term", "student_id", "section_id", "enrollment_id", "confirmed_at")
ONEROSTER_COLUMNS: Final = (
    "sourcedId",
    "status",
    "dateLastModified",
    "classSourcedId",
    "schoolSourcedId",
    "userSourcedId",
    "role",
    "primary",
    "beginDate",
    "endDate",
)
ONEROSTER_NAMESPACE: Final = UUID("5b0c8a1e-6f0e-4e57-9d0b-1c9a2f6d7e34")
ONEROSTER_LINE_END: Final = "\r\n"  # it asks for CSV as RFC 4180 has it
NOT_SAID: Final = ""  # status and dates of change stay blank where everything is exported


class ExportFormat(StrEnum):
    """What an export looks like."""

    CSV = "csv"
    JSONL = "jsonl"
    ONEROSTER = "oneroster"


@dataclass(frozen=True)
class Export:
    """What is asked for; only OneRoster has a school, by its sourcedId."""

    term: str
    form: ExportFormat = ExportFormat.CSV
    school: str = ""


def write_header(file: IO[str], form: ExportFormat) -> None:
    """Write what stands before the rows."""
    match form:
        case ExportFormat.CSV:
            csv.writer(file, lineterminator="\n").writerow(COLUMNS)
        case ExportFormat.JSONL:
            return
        case ExportFormat.ONEROSTER:
            csv.writer(file, lineterminator=ONEROSTER_LINE_END).writerow(ONEROSTER_COLUMNS)
        case _:
            assert_never(form)


def write_rows(file: IO[str], export: Export, seats: "Sequence[ConfirmedSeat]") -> None:
    """Write a row for each seat."""
    match export.form:
        case ExportFormat.CSV:
            rows = (_row(export.term, seat) for seat in seats)
            csv.writer(file, lineterminator="\n").writerows(rows)
        case ExportFormat.JSONL:
            objects = (dict(zip(COLUMNS, _row(export.term, seat), strict=True)) for seat in seats)
            file.writelines(f"{json.dumps(one)}\n" for one in objects)
        case ExportFormat.ONEROSTER:
            rows = (_oneroster_row(export, seat) for seat in seats)
            csv.writer(file, lineterminator=ONEROSTER_LINE_END).writerows(rows)
        case _:
            assert_never(export.form)


def _row(term: str, seat: "ConfirmedSeat") -> tuple[str, ...]:
    return (
        term,
        seat.student_id,
        seat.section_id,
        str(seat.enrollment_id),
        seat.confirmed_at.isoformat(),
    )


def _oneroster_row(export: Export, seat: "ConfirmedSeat") -> tuple[str, ...]:
    """Name the pair by what it is, so that each export calls it the same, also if asked anew."""
    pair = f"{export.term}\n{seat.student_id}\n{seat.section_id}"
    return (
        str(uuid5(ONEROSTER_NAMESPACE, pair)),
        NOT_SAID,
        NOT_SAID,
        seat.section_id,
        export.school,
        seat.student_id,
        "student",
        "false",  # only a teacher can be primary
        NOT_SAID,
        NOT_SAID,
    )
