import json
import re

import pytest

from services.enrollment.ingress.problem_docs import DOCUMENT, as_markdown
from services.enrollment.ingress.problems import ASKS_FOR_PATIENCE, Problem, ProblemType
from shared.logs import CORRELATION_ID

KINDS = list(ProblemType)


def test_slugs_are_unique_and_fit_into_a_path() -> None:
    slugs = [kind.slug for kind in KINDS]

    assert len(set(slugs)) == len(slugs)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", slug) for slug in slugs)


@pytest.mark.parametrize("kind", KINDS)
def test_each_type_is_an_error_that_says_what_to_do(kind: ProblemType) -> None:
    assert 400 <= kind.status < 600
    assert kind.title[0].isupper()
    assert not kind.title.endswith(".")
    assert kind.advice.endswith(".")


@pytest.mark.parametrize("kind", KINDS)
def test_a_type_is_found_by_the_slug_in_its_path(kind: ProblemType) -> None:
    assert ProblemType.of(kind.path.removeprefix("/problems/")) is kind


def test_no_type_is_found_by_a_slug_that_there_is_not() -> None:
    assert ProblemType.of("no-such-problem") is None


def test_the_answer_is_problem_json_with_the_members_of_rfc_9457() -> None:
    problem = Problem(
        ProblemType.VALIDATION_FAILED,
        "term: is missing",
        extensions={"errors": [{"field": "term"}]},
    )

    response = problem.response()

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert json.loads(bytes(response.body)) == {
        "type": "/problems/validation-failed",
        "title": "The request is JSON, but not what this path takes",
        "status": 422,
        "detail": "term: is missing",
        "errors": [{"field": "term"}],
    }


def test_an_answer_without_a_detail_of_its_own_gives_the_advice() -> None:
    answer = json.loads(Problem(ProblemType.FORBIDDEN).body())

    assert answer["detail"] == ProblemType.FORBIDDEN.advice


def test_the_answer_carries_the_correlation_id_of_its_request() -> None:
    token = CORRELATION_ID.set("request-7")
    try:
        answer = json.loads(Problem(ProblemType.NOT_FOUND).body())
    finally:
        CORRELATION_ID.reset(token)

    assert answer["correlation_id"] == "request-7"


def test_an_instance_is_given_where_there_is_one() -> None:
    answer = json.loads(Problem(ProblemType.NOT_FOUND, instance="/enrollments/7").body())

    assert answer["instance"] == "/enrollments/7"


@pytest.mark.parametrize(("seconds", "header"), [(0.0, "1"), (0.2, "1"), (1.0, "1"), (9.1, "10")])
def test_retry_after_is_in_whole_seconds_and_never_too_short(seconds: float, header: str) -> None:
    problem = Problem(ProblemType.OVERLOADED, retry_after_seconds=seconds)

    assert problem.response().headers["retry-after"] == header


@pytest.mark.parametrize("kind", KINDS)
def test_who_is_asked_for_patience_is_told_how_long(kind: ProblemType) -> None:
    response = Problem(kind).response()

    assert ("retry-after" in response.headers) == (kind.status in ASKS_FOR_PATIENCE)


def test_headers_of_a_problem_go_out_with_it() -> None:
    problem = Problem(ProblemType.METHOD_NOT_ALLOWED, headers={"Allow": "GET"})

    assert problem.response().headers["allow"] == "GET"


def test_a_text_that_is_not_unicode_does_not_break_the_answer() -> None:
    answer = json.loads(Problem(ProblemType.MALFORMED_BODY, "what is \ud800 here").body())

    assert answer["detail"] == "what is ? here"


def test_an_extension_cannot_replace_a_standard_member() -> None:
    with pytest.raises(AssertionError):
        Problem(ProblemType.NOT_FOUND, extensions={"status": 200})


def test_the_document_lists_every_problem_as_it_is() -> None:
    told = DOCUMENT.read_text(encoding="utf-8")

    assert told == as_markdown(), "run `python -m services.enrollment.ingress.problem_docs`"
    assert all(f"| `{kind.path}` | {kind.status} |" in told for kind in KINDS)
