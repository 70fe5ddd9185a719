"""Litestar with the raw request."""

from typing import Any

from litestar import Litestar, Request, Response, post

from loadtests.frameworks.work import MEDIA_TYPE, Work, checked_body, checked_key, headers_of


def new_app(work: Work) -> Any:
    """Make the application."""

    async def enroll(request: Request[Any, Any, Any]) -> Response[bytes]:
        headers = request.headers
        key = checked_key(headers.get("idempotency-key"))
        asked = work.asked(headers.get("authorization"), key, headers.get("traceparent"))
        body = checked_body(headers.get("content-type"), await request.body())
        reply = await work.acceptance.enroll(asked, body)
        answer = reply.answer
        return Response(
            answer.body,
            status_code=answer.status,
            headers=headers_of(reply),
            media_type=MEDIA_TYPE,
        )

    handler = post("/enrollments", status_code=202)(enroll)
    return Litestar([handler], lifespan=[work.lifespan], logging_config=None)
