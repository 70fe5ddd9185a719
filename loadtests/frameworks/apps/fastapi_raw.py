"""FastAPI with the raw request, as the ingress has it: we read headers and body ourselves."""

from fastapi import FastAPI, Request, Response

from loadtests.frameworks.work import MEDIA_TYPE, Work, headers_of
from services.enrollment.ingress.reading import idempotency_key, read_body
from services.enrollment.ingress.resources import Accepted, EnrollmentAsked


def new_app(work: Work) -> FastAPI:
    """Make the application."""
    app = FastAPI(lifespan=work.lifespan)

    @app.post("/enrollments", status_code=202, response_model=Accepted)
    async def enroll(request: Request) -> Response:
        headers = request.headers
        key = idempotency_key(request)
        asked = work.asked(headers.get("authorization"), key, headers.get("traceparent"))
        reply = await work.acceptance.enroll(asked, await read_body(request, EnrollmentAsked))
        answer = reply.answer
        return Response(answer.body, answer.status, headers_of(reply), MEDIA_TYPE)

    return app
