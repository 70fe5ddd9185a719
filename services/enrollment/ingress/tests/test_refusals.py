"""A refusal is, to the byte, what the problem's ordinary answer would be."""

import json

import pytest

from services.enrollment.ingress.correlation import HEADER
from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.refusals import Refusal, Refusals
from shared.logs import CORRELATION_ID

DATE = [(b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")]
LATER = [(b"date", b"Thu, 01 Jan 1970 00:00:01 GMT")]
OVERLOADED = Problem(ProblemType.OVERLOADED, "requests wait for 11 s", retry_after_seconds=2)
PROBLEMS = [
    *(Problem(kind) for kind in ProblemType),
    OVERLOADED,
    Problem(ProblemType.NOT_FOUND, 'a "quoted" na\u00efve % detail', instance="/enrollments/7"),
    Problem(ProblemType.METHOD_NOT_ALLOWED, headers={"Allow": "GET"}),
    Problem(ProblemType.VALIDATION_FAILED, "no \ud800", extensions={"errors": [{"field": "a"}]}),
]
IDS = ["x", "018f3a52-7c1e-7b3a-9d53-0f6a4c1b2d3e", "y" * 128]


def ordinary(problem: Problem, correlation_id: str) -> tuple[int, set[tuple[str, str]], bytes]:
    """Give status, headers and body that the application would answer with."""
    token = CORRELATION_ID.set(correlation_id)
    try:
        response = problem.response()
    finally:
        CORRELATION_ID.reset(token)
    added = {(HEADER.lower(), correlation_id), ("date", DATE[0][1].decode())}
    return response.status_code, {*response.headers.items(), *added}, bytes(response.body)


def read(head: bytes) -> tuple[int, list[tuple[str, str]]]:
    status_line, *lines = head.removesuffix(b"\r\n\r\n").decode().split("\r\n")
    pairs = [line.split(": ", 1) for line in lines]
    return int(status_line.split(" ")[1]), [(name.lower(), value) for name, value in pairs]


@pytest.mark.parametrize("correlation_id", IDS)
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.kind.slug)
def test_a_refusal_is_what_the_application_would_answer(
    problem: Problem, correlation_id: str
) -> None:
    head, body = Refusal(problem, DATE).answer(correlation_id, is_kept=True)

    status, headers = read(head)
    assert head.endswith(b"\r\n\r\n")
    assert len(headers) == len(set(headers))
    assert (status, set(headers), body) == ordinary(problem, correlation_id)


def test_only_where_the_connection_ends_the_answer_says_so() -> None:
    refusal = Refusal(OVERLOADED, DATE)

    _, kept = read(refusal.answer("x", is_kept=True)[0])
    _, closed = read(refusal.answer("x", is_kept=False)[0])

    assert closed == [*kept, ("connection", "close")]


def test_the_last_refusal_is_used_again_until_the_problem_or_the_date_is_another() -> None:
    refusals = Refusals()

    first = refusals.of(OVERLOADED, DATE)
    assert refusals.of(OVERLOADED, DATE) is first

    later = refusals.of(OVERLOADED, LATER)
    assert LATER[0][1] in later.answer("x", is_kept=True)[0]

    other = refusals.of(Problem(ProblemType.OVERLOADED, "late"), LATER)
    assert json.loads(other.answer("x", is_kept=True)[1])["detail"] == "late"
