from pathlib import Path

import pytest

from loadtests.day.dataset import BadDatasetError, read_catalogs, read_day
from loadtests.day.rows import BadLine
from loadtests.day.tests.making import request
from shared.events import INTEGER_MAX, Meeting

SECTIONS = (
    "section_id,course_id,capacity,credits,days,weeks,start_minute,end_minute\n"
    "1.1,1,20,3,1010000,1111,480,555\n"
    "2.1,2,5,0,,,,\n"
)
STUDENTS = "student_id,max_credits\nS1,18\nS2,9\n"
REQUESTS = (
    '{"student_id":"S1","term":"fall","sections":["1.1","2.1"]}\n'
    '{"student_id":"S2","term":"fall","sections":["1.1"]}\n'
)


def write(
    folder: Path,
    *,
    sections: str | None = SECTIONS,
    students: str | None = STUDENTS,
    requests: str | None = REQUESTS,
) -> Path:
    files = {"sections.csv": sections, "students.csv": students, "requests.jsonl": requests}
    for name, text in files.items():
        if text is not None:
            (folder / name).write_text(text)
    return folder


def bad_lines(folder: Path, **texts: str | None) -> list[str]:
    with pytest.raises(BadDatasetError) as caught:
        read_day(write(folder, **texts))
    return [str(bad) for bad in caught.value.bad_lines]


def test_a_set_is_read_with_its_term_and_meetings(tmp_path: Path) -> None:
    dataset = read_day(write(tmp_path))

    lecture, laboratory = dataset.sections
    assert (dataset.name, dataset.term, lecture.term) == (tmp_path.name, "fall", "fall")
    assert (lecture.section_id, lecture.course_id, lecture.capacity) == ("1.1", "1", 20)
    assert lecture.meetings == (
        Meeting(days="1010000", weeks="1111", start_minute=480, end_minute=555),
    )
    assert laboratory.meetings == ()
    assert [(s.student_id, s.max_credits) for s in dataset.students] == [("S1", 18), ("S2", 9)]
    assert dataset.requests == (request(1, "S1", "1.1", "2.1"), request(2, "S2", "1.1"))


def test_the_folder_names_the_term_where_there_are_no_requests(tmp_path: Path) -> None:
    folder = tmp_path / "spring-2031"
    folder.mkdir()

    dataset, _ = read_catalogs(write(folder, requests=None))

    assert dataset.term == "spring-2031"


def test_a_term_can_be_given(tmp_path: Path) -> None:
    dataset, _ = read_catalogs(write(tmp_path), term="summer")

    assert {section.term for section in dataset.sections} == {"summer"}


def test_a_term_that_is_no_identifier_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadDatasetError, match="--term"):
        read_catalogs(write(tmp_path), term="fall 2031")


def test_a_byte_order_mark_and_spaces_around_values_do_no_harm(tmp_path: Path) -> None:
    dataset = read_day(write(tmp_path, students="\ufeffstudent_id, max_credits\nS1 , 18\n"))

    assert [(s.student_id, s.max_credits) for s in dataset.students] == [("S1", 18)]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("a b,1,20,3,,,,", "section_id is 'a b': write 1 to 64 of A-Z a-z 0-9 . _ : -"),
        ("3,,20,3,,,,", "course_id is '': write 1 to 64 of A-Z a-z 0-9 . _ : -"),
        ("3,1,many,3,,,,", f"capacity is 'many': write a whole number from 0 to {INTEGER_MAX}"),
        ("3,1,-1,3,,,,", f"capacity is '-1': write a whole number from 0 to {INTEGER_MAX}"),
        ("3,1,²,3,,,,", f"capacity is '²': write a whole number from 0 to {INTEGER_MAX}"),
        ("3,1,5,2147483648,,,,", "credits is '2147483648': write a whole number from 0 to"),
        ("3,1,5,3,10,1,1,2", "days is '10': write 7 of 0 and 1, Monday first"),
        ("3,1,5,3,1000000,,1,2", "weeks is '': write 1 to 60 of 0 and 1, week 1 first"),
        ("3,1,5,3,1000000,1,x,2", "start_minute is 'x': write a whole number from 0 to 1440"),
        ("3,1,5,3,1000000,1,0,1441", "end_minute is '1441': write a whole number from 0 to 1440"),
        ("3,1,5,3,1000000,1,60,60", "end_minute is 60: write one after 60"),
        ("3,1,5", "too few values: write 8, one for each column"),
        ("3,1,5,3,,,,,", "too many values: write 8, one for each column"),
        ("1.1,9,5,3,,,,", "1.1 is in line 2 already: remove one of them"),
    ],
)
def test_a_bad_section_is_named_with_its_line_and_what_to_do(
    tmp_path: Path, row: str, problem: str
) -> None:
    found = bad_lines(tmp_path, sections=f"{SECTIONS}{row}\n")

    assert len(found) == 1
    assert found[0].startswith(f"sections.csv:4: {problem}")


def test_every_fault_of_a_line_is_named_at_once(tmp_path: Path) -> None:
    found = bad_lines(tmp_path, sections=f"{SECTIONS}3 3,1,x,y,1,0,5,5\n")

    assert [line.split(" is ")[0] for line in found] == [
        "sections.csv:4: capacity",
        "sections.csv:4: credits",
        "sections.csv:4: days",
        "sections.csv:4: section_id",
    ]


def test_missing_columns_are_named(tmp_path: Path) -> None:
    assert bad_lines(tmp_path, students="student\nS1\n") == [
        "students.csv:1: it lacks the columns student_id, max_credits: add them to the first line"
    ]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (found,) = bad_lines(tmp_path, students=None)

    assert found.startswith("students.csv:1: No such file or directory: put the file there")


@pytest.mark.parametrize("students", ["", "student_id,max_credits\n"])
def test_an_empty_file_is_bad(tmp_path: Path, students: str) -> None:
    (found,) = bad_lines(tmp_path, students=students)

    assert found.startswith("students.csv:1: it ")


def test_a_quote_that_is_never_closed_is_bad(tmp_path: Path) -> None:
    found = bad_lines(tmp_path, students='student_id,max_credits\nS1,18\n"S2,9\n')

    assert found == ["students.csv:3: unexpected end of data: mend the quotes"]


def test_bytes_that_are_no_text_are_bad_in_their_line_only(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "students.csv").write_bytes(b"student_id,max_credits\nS1,18\nS\xff,9\n")

    dataset, bad = read_catalogs(tmp_path, skip_bad=True)

    assert [student.student_id for student in dataset.students] == ["S1"]
    assert [(line.file, line.line) for line in bad] == [("students.csv", 3)]


def test_bad_lines_can_be_skipped(tmp_path: Path) -> None:
    write(tmp_path, sections=f"{SECTIONS}3,1,x,3,,,,\n", students=f"{STUDENTS}S1,2\n")

    dataset, bad = read_catalogs(tmp_path, skip_bad=True)

    assert [section.section_id for section in dataset.sections] == ["1.1", "2.1"]
    assert [student.max_credits for student in dataset.students] == [18, 9]
    assert [(line.file, line.line) for line in bad] == [("sections.csv", 4), ("students.csv", 4)]


def test_nothing_left_over_is_no_import(tmp_path: Path) -> None:
    with pytest.raises(BadDatasetError):
        read_catalogs(write(tmp_path, students="student_id\nS1\n"), skip_bad=True)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("nonsense", "it is no JSON object: write student_id, term and sections"),
        ("[1]", "it is no JSON object: write student_id, term and sections"),
        ('{"term":"fall","sections":["1"]}', "student_id is None: write 1 to 64 of"),
        ('{"student_id":"S1","term":"x","sections":["1"]}', "term is 'x': write fall"),
        ('{"student_id":"S1","term":"fall","sections":[]}', "sections is []: write a list of"),
        ('{"student_id":"S1","term":"fall","sections":[1]}', "a section is 1: write 1 to 64 of"),
        ('{"student_id":"S1","term":"fall","sections":["1","1"]}', "it names a section twice"),
    ],
)
def test_a_bad_request_is_named_with_its_line_and_what_to_do(
    tmp_path: Path, line: str, problem: str
) -> None:
    found = bad_lines(tmp_path, requests=f"{REQUESTS}\n{line}\n")

    assert len(found) == 1
    assert found[0].startswith(f"requests.jsonl:4: {problem}")


def test_bad_catalogs_and_bad_requests_are_named_together(tmp_path: Path) -> None:
    found = bad_lines(tmp_path, students="student_id\n", requests="nonsense\n")

    assert [line.split(": ")[0] for line in found] == ["requests.jsonl:1", "students.csv:1"]


def test_a_day_without_requests_is_bad(tmp_path: Path) -> None:
    assert bad_lines(tmp_path, requests="\n") == [
        "requests.jsonl:1: it has no requests: add one at least"
    ]


def test_long_values_are_cut_where_they_are_shown(tmp_path: Path) -> None:
    (found,) = bad_lines(tmp_path, students=f"student_id,max_credits\n{'x' * 1000},1\n")

    assert len(found) < 120


def test_bad_lines_read_as_places() -> None:
    assert str(BadLine("students.csv", 3, "mend it")) == "students.csv:3: mend it"
