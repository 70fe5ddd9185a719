"""Makes the ASGI application: its paths, its problems, its document."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.responses import Response

from services.enrollment.ingress.documenting import complete
from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.reading import refused
from services.enrollment.ingress.resources import BatchAsked, EnrollmentAsked

TITLE: Final = "Enrollment"
VERSION: Final = "1"
SUMMARY: Final = "Students enroll in several sections at once, all or nothing."
BODIES: Final = (EnrollmentAsked, BatchAsked)
BY_STATUS: Final = {404: ProblemType.NOT_FOUND, 405: ProblemType.METHOD_NOT_ALLOWED}


def new_app(routers: Sequence[APIRouter]) -> FastAPI:
    """Make the application; its documentation page works without any other host."""
    app = FastAPIOffline(
        docs_url="/docs", redoc_url=None, title=TITLE, version=VERSION, summary=SUMMARY
    )
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_bad_parameters)
    app.add_exception_handler(HTTPException, _on_http_exception)
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


async def _on_http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = BY_STATUS.get(error.status_code, ProblemType.MALFORMED_REQUEST)
    return Problem(kind, headers=dict(error.headers or {})).response()


async def _on_defect(_request: Request, _error: Exception) -> Response:
    """Say no more than that; the error itself goes on, and is logged."""
    return Problem(ProblemType.INTERNAL_ERROR).response()
