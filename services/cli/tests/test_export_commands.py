import asyncio
import csv
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner, Result

from services.cli import export_commands
from services.cli.export_formats import COLUMNS, ONEROSTER_COLUMNS, ExportFormat
from services.cli.main import app
from services.cli.target import Target, transaction
from services.cli.tests.saga import TERM, a_request, play, publish_catalogs
from shared.events import EnrollmentCancellationRequested
from shared.identifiers import EnrollmentId


def export(*options: str, term: str = TERM) -> Result:
    return CliRunner().invoke(app, ["export", "--term", term, *options], prog_name="enroll")


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


async def enroll(target: Target, *sections: str) -> EnrollmentId:
    await publish_catalogs(target)
    request = a_request(sections=list(sections))
    assert "EnrollmentConfirmed" in await play(target, request)
    return request.enrollment_id


async def cancel(target: Target, enrollment_id: EnrollmentId) -> None:
    await play(
        target, EnrollmentCancellationRequested(enrollment_id=enrollment_id, student_id="s-1")
    )


def test_a_row_for_each_section_goes_to_standard_output_as_csv(target: Target) -> None:
    enrollment_id = asyncio.run(enroll(target, "b", "a"))

    result = export()

    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == ",".join(COLUMNS)
    rows = rows_of(result.stdout)
    assert [(row["student_id"], row["section_id"]) for row in rows] == [("s-1", "a"), ("s-1", "b")]
    assert {(row["term"], row["enrollment_id"]) for row in rows} == {(TERM, str(enrollment_id))}
    assert all(row["confirmed_at"].endswith("+00:00") for row in rows)
    assert "2 rows" in result.stderr


def test_only_what_is_confirmed_in_the_term_is_exported(target: Target) -> None:
    asyncio.run(cancel(target, asyncio.run(enroll(target, "a"))))
    asyncio.run(play(target, a_request(sections=["unknown"])))
    kept = asyncio.run(enroll(target, "b"))

    assert [row["enrollment_id"] for row in rows_of(export().stdout)] == [str(kept)]
    assert rows_of(export(term="2031").stdout) == []


def test_json_lines_have_the_same_fields(target: Target) -> None:
    asyncio.run(enroll(target, "a", "b"))

    lines = export("--format", "jsonl").stdout.splitlines()

    assert [json.loads(line) for line in lines] == rows_of(export().stdout)


def test_oneroster_gets_its_columns_and_values(target: Target) -> None:
    asyncio.run(enroll(target, "a"))

    result = export("--format", "oneroster", "--school", "school-1")

    header, row, end = result.stdout_bytes.decode().split("\r\n")
    assert end == ""
    assert header == (
        "sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role,"
        "primary,beginDate,endDate"
    )
    sourced_id, *values = row.split(",")
    assert UUID(sourced_id)
    assert values == ["", "", "a", "school-1", "s-1", "student", "false", "", ""]


def test_a_student_in_a_section_has_one_sourced_id_for_ever(target: Target) -> None:
    options = ("--format", "oneroster", "--school", "school-1")
    first = asyncio.run(enroll(target, "a"))
    before = rows_of(export(*options).stdout)
    asyncio.run(cancel(target, first))
    asyncio.run(enroll(target, "a", "b"))

    after = rows_of(export(*options).stdout)

    assert before[0] == after[0]
    assert len({row["sourcedId"] for row in after}) == 2


def test_a_file_is_replaced_and_programs_are_told(target: Target, tmp_path: Path) -> None:
    asyncio.run(enroll(target, "a"))
    path = tmp_path / "rows.csv"
    path.write_text("what was there before")

    result = export("--output", str(path), "--json")

    assert json.loads(result.stdout) == {
        "rows": 1,
        "term": TERM,
        "format": "csv",
        "file": str(path),
    }
    assert rows_of(path.read_text())[0]["section_id"] == "a"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_stays_as_it_was_where_the_export_fails(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = Target(target.kafka_url, {"enrollment": "postgresql://127.0.0.1:1/enrollment"})
    monkeypatch.setattr(export_commands, "find_target", lambda: elsewhere)
    path = tmp_path / "rows.csv"
    path.write_text("what was there before")

    result = export("--output", str(path))

    assert (result.exit_code, result.stdout) == (2, "")
    assert "does not answer" in result.stderr
    assert path.read_text() == "what was there before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("form", ExportFormat)
def test_no_rows_are_fine_and_said(target: Target, form: ExportFormat) -> None:
    asyncio.run(publish_catalogs(target))
    school = ("--school", "s") if form is ExportFormat.ONEROSTER else ()

    known = export("--format", form.value, *school)
    unknown = export("--format", form.value, *school, term="1999")

    assert (known.exit_code, unknown.exit_code) == (0, 0)
    headers = {"csv": ",".join(COLUMNS), "jsonl": "", "oneroster": ",".join(ONEROSTER_COLUMNS)}
    assert known.stdout.strip() == unknown.stdout.strip() == headers[form.value]
    assert f"of term {TERM} no enrollment is confirmed" in known.stderr
    assert "of term 1999 no section of it is known" in unknown.stderr
    assert ("OneRoster allows no file without rows" in known.stderr) == bool(school)


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (["--json"], "name a file for the rows with --output"),
        (["--format", "oneroster"], "give it with --school"),
        (["--format", "oneroster", "--school", ""], "give it with --school"),
        (["--school", "s"], "leave out --school"),
        (["--output", "/dev/null"], "is no regular file"),
        (["--output", "/not/there/rows.csv"], "there is no folder /not/there"),
        (["--format", "xml"], "Invalid value"),
    ],
)
def test_a_call_that_makes_no_sense_is_one_sentence(
    target: Target, options: list[str], advice: str
) -> None:
    result = export(*options)

    assert result.exit_code == 2
    assert advice in result.stderr


SECTIONS = {0: ["a", "b", "c"], 1: ["d", "e"]}  # of each student one enrollment is confirmed
STUDENTS = 4000


async def fill(target: Target) -> None:
    """Give each student two enrollments, of which the first is confirmed."""
    async with transaction(target, "enrollment") as begun:
        for number, sections in SECTIONS.items():
            await begun.execute(
                """
                INSERT INTO enrollment (
                    enrollment_id, state, student_id, term, sections, decided_at)
                SELECT md5(n || '-' || $1)::uuid, $2, n::text, $3, $4, now()
                FROM generate_series(1, $5) AS n
                """,
                str(number),
                "cancelled" if number else "confirmed",
                TERM,
                sections,
                STUDENTS,
            )


async def swap_all_day(target: Target, is_over: asyncio.Event) -> None:
    """Cancel one enrollment of some students and confirm the other, in one transaction."""
    first = 0
    while not is_over.is_set():
        first = (first + 997) % STUDENTS
        async with transaction(target, "enrollment") as begun:
            await begun.execute(
                """
                UPDATE enrollment
                SET state = CASE state WHEN 'confirmed' THEN 'cancelled' ELSE 'confirmed' END
                WHERE student_id = ANY ($1)
                """,
                [str(1 + (first + n) % STUDENTS) for n in range(500)],
            )


async def export_during_a_day(target: Target, tmp_path: Path) -> list[list[dict[str, str]]]:
    await fill(target)
    is_over = asyncio.Event()
    day = asyncio.create_task(swap_all_day(target, is_over))
    exports = []
    for number in range(5):
        path = tmp_path / f"{number}.csv"
        assert (await asyncio.to_thread(export, "--output", str(path))).exit_code == 0
        exports.append(rows_of(path.read_text()))
    is_over.set()
    await day
    return exports


def test_an_export_during_a_day_shows_one_moment_with_every_enrollment_whole(
    target: Target, tmp_path: Path
) -> None:
    exports = asyncio.run(export_during_a_day(target, tmp_path))

    for rows in exports:
        assert len(rows) > 5000  # more than the cursor gives at once
        of_enrollment: dict[Any, list[str]] = {}
        for row in rows:
            key = row["student_id"], row["enrollment_id"]
            of_enrollment.setdefault(key, []).append(row["section_id"])
        assert all(sections in SECTIONS.values() for sections in of_enrollment.values())
        assert len({student for student, _ in of_enrollment}) == len(of_enrollment) == STUDENTS
        assert rows == sorted(rows, key=lambda row: (row["student_id"], row["section_id"]))
    assert len({json.dumps(rows) for rows in exports}) > 1
