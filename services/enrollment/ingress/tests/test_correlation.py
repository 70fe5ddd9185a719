"""Each answer carries its correlation id, and so does each line of the log about it."""

import logging
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from services.enrollment.ingress.correlation import HEADER, Correlation, CutOffError
from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.tests.asgi import answering, ask
from shared.logs import CORRELATION_ID

NAME = HEADER.lower()


@pytest.fixture(autouse=True)
def _log_all(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def lines(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [record for record in caplog.records if record.getMessage() == "request"]


@pytest.mark.parametrize("given", ["a", "A-z_0.9:x", "x" * 128])
async def test_a_correlation_id_of_the_client_comes_back(given: str) -> None:
    answered = await ask(Correlation(answering()), headers={HEADER: given})

    assert answered.headers[NAME] == given


@pytest.mark.parametrize(
    "given", ["", "x" * 129, "a b", "a\r\nSet-Cookie: x=1", "a\n", "a\x00", "ñ", "<script>", '"a"']
)
async def test_what_is_no_correlation_id_is_replaced_and_does_not_come_out(given: str) -> None:
    answered = await ask(Correlation(answering()), headers={HEADER: given})

    assert UUID(answered.headers[NAME]).version == 7
    assert list(answered.headers) == [NAME]


async def test_a_request_without_a_correlation_id_gets_a_new_one() -> None:
    app = Correlation(answering())

    first, second = await ask(app), await ask(app)

    assert UUID(first.headers[NAME]).version == 7
    assert first.headers[NAME] != second.headers[NAME]


async def test_what_is_done_for_a_request_knows_its_correlation_id_and_nothing_after_it() -> None:
    seen: list[str | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(CORRELATION_ID.get())
        await Problem(ProblemType.NOT_FOUND).response()(scope, receive, send)

    answered = await ask(Correlation(app), headers={HEADER: "seven"})

    assert seen == ["seven"]
    assert b'"correlation_id": "seven"' in answered.body
    assert CORRELATION_ID.get() is None


async def test_each_request_has_one_line_with_its_route_and_without_ids(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = FastAPI()

    @app.get("/things/{thing_id}", status_code=203)
    async def show(thing_id: str) -> str:
        return thing_id

    await ask(Correlation(app), "/things/secret-id", headers={HEADER: "seven"})

    [line] = lines(caplog)
    assert (line.method, line.route, line.status) == ("GET", "/things/{thing_id}", 203)
    assert 0 <= line.duration_seconds < 5
    assert "secret-id" not in str(line.__dict__)


async def test_a_path_that_is_no_route_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    await ask(Correlation(FastAPI()), "/eyJ-something")

    [line] = lines(caplog)
    assert (line.route, line.status) == ("none", 404)


async def test_a_failure_is_logged_and_answered_with_a_problem_that_tells_nothing_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("the inner secret")

    answered = await ask(Correlation(app), headers={HEADER: "seven"})

    assert answered.status == 500
    assert answered.problem == "internal-error"
    assert answered.headers[NAME] == "seven"
    assert b"secret" not in answered.body
    assert "the inner secret" in caplog.text
    assert [line.status for line in lines(caplog)] == [500]


async def test_a_problem_that_nobody_has_answered_is_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise Problem(ProblemType.OVERLOADED)

    answered = await ask(Correlation(app), headers={HEADER: "seven"})

    assert answered.problem == "overloaded"
    assert answered.headers[NAME] == "seven"
    assert [line.status for line in lines(caplog)] == [503]


async def test_an_answer_that_breaks_off_is_cut_and_not_ended_as_if_whole(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("in the middle")

    with pytest.raises(CutOffError):
        await ask(Correlation(app))

    assert "in the middle" in caplog.text
    assert [line.status for line in lines(caplog)] == [200]


async def test_a_client_that_goes_away_is_no_defect(caplog: pytest.LogCaptureFixture) -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ClientDisconnect

    answered = await ask(Correlation(app))

    assert answered.status is None
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
    assert [line.status for line in lines(caplog)] == [None]
