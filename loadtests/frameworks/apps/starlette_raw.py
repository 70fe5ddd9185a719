"""Starlette alone, which FastAPI is made of."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from loadtests.frameworks.work import MEDIA_TYPE, Work, headers_of
from services.enrollment.ingress.reading import idempotency_key, read_body
from services.enrollment.ingress.resources import EnrollmentAsked


def route(work: Work) -> Route:
    """Make the route."""

    async def enroll(request: Request) -> Response:
        headers = request.headers
        key = idempotency_key(request)
        asked = work.asked(headers.get("authorization"), key, headers.get("traceparent"))
        reply = await work.acceptance.enroll(asked, await read_body(request, EnrollmentAsked))
        answer = reply.answer
        return Response(answer.body, answer.status, headers_of(reply), MEDIA_TYPE)

    return Route("/enrollments", enroll, methods=["POST"])


def new_app(work: Work) -> Starlette:
    """Make the application."""
    return Starlette(routes=[route(work)], lifespan=work.lifespan)
