import pytest

from loadtests.day.by_http.answers import Answer, AnswerLog, read_answer

BODY = b'{"enrollment_id": "e1"}'
TAKEN = read_answer(202, BODY, None)
PATIENCE = read_answer(503, b"", "2")


def test_an_acceptance_names_its_enrollment() -> None:
    answer = read_answer(202, BODY, None)

    assert answer == Answer(202, "202", "e1", None)
    assert (answer.is_accepted, answer.asks_again) == (True, False)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff"])
def test_a_202_that_names_no_enrollment_is_no_acceptance(body: bytes) -> None:
    answer = read_answer(202, body, None)

    assert (answer.said, answer.is_accepted) == ("202 that names no enrollment", False)


@pytest.mark.parametrize("status", [429, 503])
def test_who_is_told_to_wait_asks_again_after_as_long(status: int) -> None:
    answer = read_answer(status, b"", "3")

    assert (answer.asks_again, answer.retry_after_seconds) == (True, 3.0)


@pytest.mark.parametrize("status", [400, 401, 404, 422, 500])
def test_what_waiting_does_not_mend_is_not_asked_again(status: int) -> None:
    assert not read_answer(status, b"", None).asks_again


def test_a_lost_connection_is_asked_again() -> None:
    assert Answer(None, "ServerDisconnectedError").asks_again


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0.0), ("7", 7.0), ("9999", 60.0), ("soon", None), (None, None)]
)
def test_a_wait_is_bounded(text: str | None, seconds: float | None) -> None:
    assert read_answer(503, b"", text).retry_after_seconds == seconds


def test_a_request_that_was_refused_and_then_accepted_is_accepted() -> None:
    log = AnswerLog(2)

    log.note(0, PATIENCE, 1.0, 1.5)
    log.note(0, TAKEN, 3.0, 3.25)
    log.note(1, PATIENCE, 4.0, 4.0)

    assert (log.accepted, log.refused, log.not_accepted) == ({0: "e1"}, {1: "503"}, 1)
    assert (log.asked, log.counts) == (3, {"202": 1, "503": 2})
    assert (log.milliseconds.tolist(), log.last_at) == ([500.0, 250.0, 0.0], 3.25)


def test_a_lost_connection_counts_and_has_no_time() -> None:
    log = AnswerLog(1)

    log.note(0, Answer(None, "ServerDisconnectedError"), 1.0, 2.0)

    assert (log.counts, log.milliseconds.tolist()) == ({"ServerDisconnectedError": 1}, [])


def test_two_enrollments_for_one_request_are_a_contradiction() -> None:
    log = AnswerLog(1)

    log.note(0, TAKEN, 1.0, 2.0)
    log.note(0, TAKEN, 1.0, 2.0)
    assert log.contradictions == []
    log.note(0, read_answer(202, b'{"enrollment_id": "e2"}', None), 1.0, 2.0)

    assert log.contradictions == ["request 0 was answered with two enrollments: e1, e2"]


def test_a_wait_that_is_not_said_how_long_is_counted() -> None:
    log = AnswerLog(1)

    log.note(0, read_answer(429, b"", None), 1.0, 2.0)
    log.note(0, PATIENCE, 1.0, 2.0)

    assert log.without_retry_after == 1
