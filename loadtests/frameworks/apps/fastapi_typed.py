"""FastAPI as its documentation shows it: body and headers are typed parameters."""

from typing import Annotated

from fastapi import FastAPI, Header, Response

from loadtests.frameworks.work import MEDIA_TYPE, Work, checked_key, headers_of
from services.enrollment.ingress.resources import Accepted, EnrollmentAsked


def new_app(work: Work) -> FastAPI:
    """Make the application."""
    app = FastAPI(lifespan=work.lifespan)

    @app.post("/enrollments", status_code=202, response_model=Accepted)
    async def enroll(
        body: EnrollmentAsked,
        authorization: Annotated[str | None, Header()] = None,
        idempotency_key: Annotated[str | None, Header()] = None,
        traceparent: Annotated[str | None, Header()] = None,
    ) -> Response:
        asked = work.asked(authorization, checked_key(idempotency_key), traceparent)
        reply = await work.acceptance.enroll(asked, body)
        answer = reply.answer
        return Response(answer.body, answer.status, headers_of(reply), MEDIA_TYPE)

    return app
