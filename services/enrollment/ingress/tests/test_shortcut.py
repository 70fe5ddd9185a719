"""The shortcut past the router answers as the router does, and leads nothing else past it."""

import json
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Request, Response

from services.enrollment.ingress.app import new_app
from services.enrollment.ingress.correlation import Correlation
from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.shortcut import Shortcut

BY_ROUTER = "by the router"


def new_router(said: str) -> APIRouter:
    router = APIRouter()

    @router.post("/enrollments", status_code=202)
    async def enroll(request: Request) -> Response:
        asked = json.loads(await request.body())
        if asked == "refuse":
            raise Problem(ProblemType.KEY_REUSED)
        if asked == "fail":
            raise RuntimeError
        return Response(said, status_code=202, headers={"Location": "/enrollments/1"})

    @router.get("/enrollments")
    @router.post("/enrollments:batch")
    @router.post("/enrollments/{enrollment_id}")
    async def other() -> Response:
        return Response(said)

    return router


async def ask(app: Any, method: str, path: str, body: Any = "fine") -> httpx.Response:
    transport = httpx.ASGITransport(Correlation(app), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingress") as client:
        headers = {"X-Correlation-ID": "mine"}
        return await client.request(method, path, json=body, headers=headers)


@pytest.mark.parametrize("body", ["fine", "refuse", "fail"])
@pytest.mark.parametrize("path", ["/enrollments", "/enrollments?what=ever"])
async def test_the_shortcut_answers_as_the_router_does(path: str, body: str) -> None:
    router = new_router("done")
    app = new_app([router])

    direct = await ask(Shortcut(app, router), "POST", path, body)

    routed = await ask(app, "POST", path, body)
    assert direct.status_code == routed.status_code
    assert direct.content == routed.content
    assert direct.headers == routed.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/enrollments"), ("POST", "/enrollments:batch"), ("POST", "/enrollments/1")],
)
async def test_what_is_another_request_goes_to_the_router(method: str, path: str) -> None:
    app = Shortcut(new_app([new_router(BY_ROUTER)]), new_router("by the shortcut"))

    assert (await ask(app, method, path)).text == BY_ROUTER
    assert (await ask(app, "POST", "/enrollments")).text == "by the shortcut"


async def test_the_line_in_the_log_names_the_route(caplog: pytest.LogCaptureFixture) -> None:
    router = new_router("done")

    with caplog.at_level("INFO", "services.enrollment.ingress.correlation"):
        await ask(Shortcut(new_app([router]), router), "POST", "/enrollments")

    assert [vars(record)["route"] for record in caplog.records] == ["/enrollments"]
