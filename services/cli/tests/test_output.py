import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from services.cli.output import Output, Table, line_up

NOON = datetime(2030, 1, 2, 12, 0, 0, 5000, tzinfo=UTC)


def test_json_is_one_object_on_standard_output_and_progress_is_elsewhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = Output(as_json=True)

    output.progress("on it")
    output.emit({"id": UUID(int=7), "at": NOON, "raw": b"\x01"}, "for people")

    said = capsys.readouterr()
    assert json.loads(said.out) == {
        "id": "00000000-0000-0000-0000-000000000007",
        "at": "2030-01-02T12:00:00.005000+00:00",
        "raw": "01",
    }
    assert said.err == "on it\n"


def test_people_get_text_and_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).emit({"a": 1}, "for people", Table(("x",), [(1,)]))

    assert capsys.readouterr().out == "for people\nx\n1\n"


def test_a_failure_is_a_sentence_for_people_and_an_error_for_programs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Output(as_json=True).fail("do this")

    said = capsys.readouterr()
    assert json.loads(said.out) == {"error": "do this"}
    assert said.err == "enroll: do this\n"


def test_columns_line_up_where_there_is_no_terminal() -> None:
    table = Table(("name", "at"), [("a", None), ("longer", NOON)])

    assert line_up(table) == [
        "name    at",
        "a       -",
        "longer  2030-01-02 12:00:00.005+00:00",
    ]
