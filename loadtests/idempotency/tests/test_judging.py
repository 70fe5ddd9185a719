"""What is found where only Redis failed, on logs and tables made by hand."""

from dataclasses import replace

from loadtests.auditor.tables import EnrollmentRow
from loadtests.chaos.by_http.tests.making import LOST, HttpDay, accepted, ask_of, refused
from loadtests.chaos.workload import TERM
from loadtests.idempotency.judging import judge_table, refused_without_redis


def row(name: str, sections: str = "AB", term: str = TERM) -> EnrollmentRow:
    return EnrollmentRow(name, "confirmed", "H1", term, tuple(sections), None, None, None, ())


def day() -> HttpDay:
    made = HttpDay()
    made.try_(ask_of(), LOST, accepted("e1"))
    made.try_(ask_of(sections="BA"), accepted("e1"))
    return made


def found(*rows: EnrollmentRow) -> list[str]:
    made = day()
    return list(judge_table(rows, [one.ask for one in made.log.tries], made.log))


def test_one_row_that_the_clients_know_is_fine() -> None:
    assert found(row("e1")) == []


def test_a_second_row_another_row_and_no_row_are_found() -> None:
    for rows in ((row("e1"), row("e2")), (row("e2"),), ()):
        [text] = found(*rows)
        assert "its clients know {'e1'}" in text


def test_a_row_that_nobody_asked_for_is_found() -> None:
    assert len(found(row("e1"), row("e2", "Z"))) == 1
    assert len(found(row("e1", term="other"))) == 1


def test_an_error_of_the_server_is_found_and_a_lost_connection_is_none() -> None:
    made = day()
    for said in ("503 kafka-unavailable", "503 overloaded"):
        made.try_(ask_of(), replace(refused(503), said=said), accepted("e1"))
    assert list(refused_without_redis(made.log)) == []

    made.try_(ask_of(), refused(503), accepted("e1"))

    assert list(refused_without_redis(made.log)) == [
        "ask 4: answered 503, though only Redis was away"
    ]
