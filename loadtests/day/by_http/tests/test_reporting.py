import json
from dataclasses import replace
from uuid import uuid4

import pytest

from loadtests.day.by_http.answers import Answer, AnswerLog, read_answer
from loadtests.day.by_http.playing import PlayedByHttp
from loadtests.day.by_http.reporting import accepted_in_vain, broken_by_answers, http_report_of
from loadtests.day.collector import AwaitedOutcomes
from loadtests.day.report import as_text
from loadtests.day.tests.test_report import REPORT
from shared.choreography import Service
from shared.database import Database
from shared.tests.lending import Lender

INSERT = """
    INSERT INTO enrollment (enrollment_id, state, student_id, term, sections)
    VALUES ($1::text::uuid, $2, 's', 't', '{a}')
"""


def log_of(*answers: Answer) -> AnswerLog:
    """Have the requests 0, 1, … answered like this, each within a tenth of a second."""
    log = AnswerLog(len(answers))
    for number, answer in enumerate(answers):
        log.note(number, answer, 1.0, 1.1)
    return log


def taken(enrollment_id: str = "e") -> Answer:
    return read_answer(202, json.dumps({"enrollment_id": enrollment_id}).encode(), None)


def played(log: AnswerLog) -> PlayedByHttp:
    return PlayedByHttp([], AwaitedOutcomes(log.requests), 1.0, 2.0, log.not_accepted, "503", log)


def test_every_answer_that_is_no_202_counts_as_an_error() -> None:
    log = log_of(taken("a"), taken("b"), taken("c"), Answer(None, "ServerDisconnectedError"))
    log.note(3, taken("d"), 2.0, 2.3)

    report = http_report_of(log, {"ingress": 0.002, "redis": 0.0004})

    assert report.answers == {"202": 4, "ServerDisconnectedError": 1}
    assert (report.error_percent, report.not_accepted) == (20.0, 0)
    assert report.latency_ms == {"p50": 100.0, "p95": 300.0, "p99": 300.0, "max": 300.0}
    assert report.cpu_us_a_request == {"ingress": 500.0, "redis": 100.0}


def test_where_nothing_was_asked_there_are_no_errors() -> None:
    assert http_report_of(AnswerLog(1), {}).error_percent == 0.0


def test_answers_that_keep_the_contract_break_nothing() -> None:
    assert broken_by_answers(played(log_of(taken("a"), taken("b")))) == []


def test_requests_that_were_never_accepted_break_the_run() -> None:
    log = log_of(taken(), read_answer(503, b"", "1"))

    assert broken_by_answers(played(log)) == ["requests that never got a 202: 1 (503)"]


def test_a_wait_without_retry_after_is_broken_though_all_was_accepted() -> None:
    log = log_of(read_answer(429, b"", None))
    log.note(0, taken(), 2.0, 2.1)

    assert broken_by_answers(played(log)) == ["answers of 429 or 503 without Retry-After: 1"]


def test_two_enrollments_for_one_request_are_broken() -> None:
    log = log_of(taken("e1"))
    log.note(0, taken("e2"), 2.0, 2.1)

    assert broken_by_answers(played(log)) == ["request 0 was answered with two enrollments: e1, e2"]


@pytest.fixture
async def enrollment_url(databases: Lender) -> str:
    """A fresh database of the enrollment service."""
    return await databases.make(Service.ENROLLMENT)


async def test_what_was_accepted_and_is_unknown_or_pending_was_accepted_in_vain(
    enrollment_url: str,
) -> None:
    decided, pending, unknown = (str(uuid4()) for _ in range(3))
    database = Database(enrollment_url, application_name="test")
    async with database.transaction() as transaction:
        await transaction.execute(INSERT, decided, "confirmed")
        await transaction.execute(INSERT, pending, "pending")
    await database.close()

    found = await accepted_in_vain(enrollment_url, [decided, pending, unknown])

    assert await accepted_in_vain(enrollment_url, [decided]) == []
    [violation] = found
    assert violation.startswith("answered 202 and never decided: 2, such as ")
    assert pending in violation
    assert unknown in violation


def test_people_read_what_was_answered_and_what_a_request_costs() -> None:
    log = log_of(taken("a"), read_answer(503, b"", "1"))
    log.note(1, taken("b"), 2.0, 2.1)

    text = as_text(replace(REPORT, http=http_report_of(log, {"ingress": 0.0008})))

    assert "answers    202 2, 503 1: 33.33 % were no 202; 0 requests got none" in text
    assert "answered   p50 100.0 ms, p95 100.0 ms, p99 100.0 ms, max 100.0 ms" in text
    assert "a request  ingress 400 us" in text


def test_programs_find_the_same_under_http_and_only_for_a_run_by_http() -> None:
    http = http_report_of(log_of(taken()), {})

    data = json.loads(json.dumps(replace(REPORT, http=http).as_json()))

    assert data["http"]["answers"] == {"202": 1}
    assert "http" not in REPORT.as_json()
