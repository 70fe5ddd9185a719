"""Makes the ASGI application: its paths, its problems, its document."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from services.enrollment.ingress.documenting import ProblemBody, complete
from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.reading import refused
from services.enrollment.ingress.resources import BatchAsked, EnrollmentAsked

TITLE: Final = "Enrollment"
VERSION: Final = "1"
SUMMARY: Final = "Students enroll in several sections at once, all or nothing."
DESCRIPTION: Final = """\
Every refusal is an RFC 9457 problem. Besides what each path says of itself, a path that is not
known here is answered with 404 (`/problems/not-found`), and a method that a path does not know with
405 (`/problems/method-not-allowed`) and `Allow`.
"""
BODIES: Final = (EnrollmentAsked, BatchAsked, ProblemBody)
BY_STATUS: Final = {404: ProblemType.NOT_FOUND, 405: ProblemType.METHOD_NOT_ALLOWED}


def new_app(routers: Sequence[APIRouter]) -> FastAPI:
    """Make the application; its documentation page works without any other host."""
    app = FastAPIOffline(
        docs_url="/docs",
        redoc_url=None,
        title=TITLE,
        version=VERSION,
        summary=SUMMARY,
        description=DESCRIPTION,
        swagger_ui_parameters={"validatorUrl": None},  # or it would ask a host of Swagger's
        redirect_slashes=False,  # it would lead wherever the header Host says
    )
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_bad_parameters)
    routes = [route for router in routers for route in router.routes]
    app.add_exception_handler(HTTPException, partial(_on_http_exception, routes))
    app.add_exception_handler(Exception, _on_defect)
    _document(app)
    return app


def _document(app: FastAPI) -> None:
    """Complete the document once, when it is first asked for."""
    generate = app.openapi

    def completed() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = complete(generate(), BODIES)
        return app.openapi_schema

    app.openapi = completed  # type: ignore[method-assign]


async def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _on_bad_parameters(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return refused(error.errors()).response()


async def _on_http_exception(
    routes: Sequence[BaseRoute], request: Request, error: Exception
) -> Response:
    assert isinstance(error, HTTPException)
    kind = BY_STATUS.get(error.status_code, ProblemType.MALFORMED_REQUEST)
    headers = dict(error.headers or {})
    if kind is ProblemType.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_allowed(routes, request)) or headers["Allow"]
    return Problem(kind, headers=headers).response()


def _allowed(routes: Sequence[BaseRoute], request: Request) -> list[str]:
    """Name the methods of all routes of a path: Starlette names those of the first."""
    here = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in here for method in getattr(route, "methods", ())})


async def _on_defect(_request: Request, _error: Exception) -> Response:
    """Say no more than that; the error itself goes on, and is logged."""
    return Problem(ProblemType.INTERNAL_ERROR).response()
