from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from loadtests.day.copies import copy_of
from loadtests.day.dataset import BadDatasetError, Dataset, read_catalogs
from loadtests.day.overlooked import overlooked
from loadtests.day.student_files import STUDENT_FILES
from loadtests.day.tests.files import write_set
from shared.codec import encode_body
from shared.events import Hold, SectionPublished, SectionState, StudentPublished, Window
from shared.identifiers import Term

COLUMNS = (
    "section_id,course_id,capacity,credits,days,weeks,start_minute,end_minute,"
    "part,state,prerequisites,corequisites\n"
)
HOLDS = "student_id,code\n"
WINDOWS = "student_id,opens_at,closes_at\n"
COURSES = "student_id,course_id\n"


def read(folder: Path, **texts: str) -> Dataset:
    dataset, _ = read_catalogs(write_set(folder, **texts), term="fall")
    return dataset


def section(folder: Path, optional: str) -> SectionPublished:
    (found,) = read(folder, sections=f"{COLUMNS}3,1,5,3,,,,,{optional}\n").sections
    return found


def bad_lines(folder: Path, **texts: str) -> list[str]:
    with pytest.raises(BadDatasetError) as caught:
        read(folder, **texts)
    return [str(bad) for bad in caught.value.bad_lines]


def said(entry: SectionPublished | StudentPublished) -> set[str]:
    """Name the optional fields that a set says."""
    return (
        entry.model_fields_set
        - {"version", "term", "capacity", "credits", "meetings"}
        - {name for name in entry.model_fields_set if name.endswith("_id") or name == "max_credits"}
    )


def test_optional_columns_are_read(tmp_path: Path) -> None:
    found = section(tmp_path, "lecture,closed,MATH1|MATH2; PHYS1,LAB1;LAB2")

    assert (found.part, found.state) == ("lecture", SectionState.CLOSED)
    assert found.prerequisites == (("MATH1", "MATH2"), ("PHYS1",))
    assert found.corequisites == ("LAB1", "LAB2")


def test_empty_optional_cells_say_that_there_is_nothing(tmp_path: Path) -> None:
    found = section(tmp_path, ",,,")

    assert (found.part, found.state) == (None, SectionState.OPEN)
    assert (found.prerequisites, found.corequisites) == ((), ())
    assert said(found) == {"part", "state", "prerequisites", "corequisites"}


def test_absent_columns_and_files_say_nothing(tmp_path: Path) -> None:
    dataset = read(tmp_path)

    assert [said(section) for section in dataset.sections] == [set(), set()]
    assert [said(student) for student in dataset.students] == [set(), set()]


@pytest.mark.parametrize(
    ("optional", "problem"),
    [
        (f"{'x' * 65},,,", "part is 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…: write 1 to 64"),
        ("a\x07,,,", r"part is 'a\x07': write 1 to 64 characters that can be printed"),
        (",Open,,", "state is 'Open': write one of open, closed, cancelled"),
        (",,MATH 1,", "a part of prerequisites is 'MATH 1': write 1 to 64 of"),
        (",,MATH1;,", "a part of prerequisites is '': write 1 to 64 of"),
        (",,MATH1||MATH2,", "a part of prerequisites is '': write 1 to 64 of"),
        (f",,{';'.join(['M'] * 51)},", "prerequisites has 51 parts: write 50 at most"),
        (",,,LAB1|LAB2", "corequisites has |: each of them is needed, so write ; between them"),
        (f",,,{';'.join(['M'] * 51)}", "corequisites has 51 parts: write 50 at most"),
    ],
)
def test_a_bad_optional_cell_is_named_with_its_line_and_what_to_do(
    tmp_path: Path, optional: str, problem: str
) -> None:
    (found,) = bad_lines(tmp_path, sections=f"{COLUMNS}3,1,5,3,,,,,{optional}\n")

    assert found.startswith(f"sections.csv:2: {problem}")


def test_an_optional_column_twice_is_bad(tmp_path: Path) -> None:
    found = bad_lines(tmp_path, sections=f"{COLUMNS.strip()},part\n")

    assert found == ["sections.csv:1: it has the columns part twice: keep one of each"]


def test_the_files_about_students_are_read_in_any_order_of_rows(tmp_path: Path) -> None:
    dataset = read(
        tmp_path,
        holds=f"{HOLDS}S1,debt\nS1,advising\n",
        windows=f"{WINDOWS}S1,2031-01-15T08:00:00+01:00,2031-01-16T08:00:00Z\n",
        completed_courses=f"{COURSES}S1,PHYS1\nS2,MATH1\nS1,MATH1\n",
    )

    first, second = dataset.students
    assert first.holds == (Hold(code="advising"), Hold(code="debt"))
    assert first.completed_courses == ("MATH1", "PHYS1")
    opens_at, closes_at = datetime(2031, 1, 15, 7, tzinfo=UTC), datetime(2031, 1, 16, 8, tzinfo=UTC)
    assert first.windows == (Window(term=Term("fall"), opens_at=opens_at, closes_at=closes_at),)
    assert (second.holds, second.windows, second.completed_courses) == ((), (), ("MATH1",))
    assert said(first) == said(second) == {"holds", "windows", "completed_courses"}


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("2031-01-15T08:00:00-06:00", "2031-01-15T08:00:00-06:00"),
        ("2031-01-15T08:00Z", "2031-01-15T08:00:00+00:00"),
        ("2031-01-15T08:00:00+01:00:30", "2031-01-15T06:59:30+00:00"),  # which no event can say
    ],
)
def test_a_window_keeps_the_zone_that_it_was_written_in(
    tmp_path: Path, written: str, kept: str
) -> None:
    student, _ = read(tmp_path, windows=f"{WINDOWS}S1,{written},2031-02-01T00:00Z\n").students

    (window,) = StudentPublished.model_validate_json(encode_body(student)).windows
    assert window.opens_at.isoformat() == kept


@pytest.mark.parametrize(
    ("file", "row", "problem"),
    [
        ("holds", "S1", "too few values: write 2, one for each column"),
        ("holds", "S1,", "code is '': write 1 to 64 characters that can be printed"),
        ("holds", f"S1,{'x' * 65}", "code is 'xxx"),
        ("holds", "S 1,debt", "student_id is 'S 1': write 1 to 64 of"),
        ("holds", "S3,debt", "S3 has no good line in students.csv: add or mend it"),
        ("holds", "S2,debt", "line 2 says the same: remove one of them"),
        ("windows", "S1,soon,2031-01-02T00:00Z", "opens_at is 'soon': write a date and time with"),
        ("windows", "S1,2031-01-01T00:00,2031-01-02T00:00Z", "opens_at is '2031-01-01T00:00': "),
        ("windows", "S1,2031-01-01T00:00Z,9999-12-31T23:59-01:00", "closes_at is '9999-12-31T23"),
        ("windows", "S1,2031-01-02T00:00Z,2031-01-02T01:00+01:00", "closes_at is 2031-01-02T01:0"),
        ("windows", "S3,2031-01-01T00:00Z,2031-01-02T00:00Z", "S3 has no good line in students"),
        ("windows", "S2,2031-01-01T02:00+02:00,2031-01-02T00:00Z", "line 2 says the same: "),
        ("completed_courses", "S1,MATH 1", "course_id is 'MATH 1': write 1 to 64 of"),
        ("completed_courses", "S3,MATH1", "S3 has no good line in students.csv: add or mend it"),
        ("completed_courses", "S2,MATH1", "line 2 says the same: remove one of them"),
    ],
)
def test_a_bad_line_about_a_student_is_named_with_what_to_do(
    tmp_path: Path, file: str, row: str, problem: str
) -> None:
    good = {
        "holds": f"{HOLDS}S2,debt\n",
        "windows": f"{WINDOWS}S2,2031-01-01T00:00Z,2031-01-02T00:00Z\n",
        "completed_courses": f"{COURSES}S2,MATH1\n",
    }

    (found,) = bad_lines(tmp_path, **{file: f"{good[file]}{row}\n"})

    assert found.startswith(f"{file}.csv:3: {problem}")


@pytest.mark.parametrize("text", ["", "student,code\nS1,debt\n"])
def test_an_optional_file_without_its_columns_is_bad(tmp_path: Path, text: str) -> None:
    (found,) = bad_lines(tmp_path, holds=text)

    assert found.startswith("holds.csv:1: it ")


def test_a_student_has_at_most_what_the_contract_allows(tmp_path: Path) -> None:
    rows = "".join(f"S1,{n}\n" for n in range(52))

    found = bad_lines(tmp_path, holds=HOLDS + rows)

    assert found == [f"holds.csv:{line}: S1 has 50 lines already: remove some" for line in (52, 53)]


@pytest.mark.parametrize("file", STUDENT_FILES, ids=lambda file: file.field)
def test_the_limits_are_those_of_the_contract(file: Any) -> None:
    student = {"version": 1, "student_id": "S1", "max_credits": 1}
    moment = datetime(2031, 1, 1, tzinfo=UTC)
    entry = {"holds": Hold(code="debt"), "completed_courses": "MATH1"}.get(
        file.field, Window(term=Term("fall"), opens_at=moment, closes_at=moment)
    )

    StudentPublished.model_validate(student | {file.field: [entry] * file.at_most})
    with pytest.raises(ValidationError):
        StudentPublished.model_validate(student | {file.field: [entry] * (file.at_most + 1)})


@pytest.mark.parametrize(
    "bad_line",
    ["S1,debt", "S1,", "S1", "S1,library,extra", "S9,debt", '"S2,debt'],
)
def test_a_file_with_a_bad_line_says_nothing_of_any_student(tmp_path: Path, bad_line: str) -> None:
    write_set(tmp_path, holds=f"{HOLDS}S1,debt\n{bad_line}\n", completed_courses=COURSES)

    dataset, bad = read_catalogs(tmp_path, skip_bad=True)

    assert [line.file for line in bad] == ["holds.csv"]
    assert [said(student) for student in dataset.students] == [{"completed_courses"}] * 2


def test_without_students_their_files_are_not_blamed(tmp_path: Path) -> None:
    found = bad_lines(tmp_path, students="student_id\nS1\n", holds=f"{HOLDS}S1,debt\n")

    assert [line.split(": ")[0] for line in found] == ["students.csv:1"]


def test_a_link_to_a_file_that_is_gone_is_bad(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "holds.csv").symlink_to(tmp_path / "gone.csv")

    with pytest.raises(BadDatasetError, match=r"holds\.csv:1: No such file"):
        read_catalogs(tmp_path)


def test_what_is_said_of_students_follows_their_copies(tmp_path: Path) -> None:
    dataset = read(
        tmp_path,
        holds=f"{HOLDS}S1,debt\n",
        windows=f"{WINDOWS}S1,2031-01-01T00:00Z,2031-01-02T00:00Z\n",
        completed_courses=f"{COURSES}S1,MATH1\n",
    )

    first, second = (copy.students[0] for copy in (copy_of(dataset, 1), copy_of(dataset, 2)))

    assert second == first.model_copy(update={"student_id": "2-S1"})
    assert said(second) == said(first)


def test_files_and_columns_that_are_not_read_are_named(tmp_path: Path) -> None:
    write_set(tmp_path, students="student_id,max_credits,name\nS1,18,Ada\n", hold="code\n")

    said_of_hold, said_of_name = overlooked(tmp_path)

    assert said_of_hold.startswith("hold.csv is not read: it is none of sections.csv, students.csv")
    assert said_of_name == "students.csv: the column name is not read"
