"""BlackSheep with the raw request."""

from typing import Any

from blacksheep import Application, Content, Request, Response

from loadtests.frameworks.work import MEDIA_TYPE, Work, checked_body, checked_key, headers_of


def new_app(work: Work) -> Any:
    """Make the application."""
    app = Application()

    async def enroll(request: Request) -> Response:
        key = checked_key(_header(request, b"idempotency-key"))
        asked = work.asked(
            _header(request, b"authorization"), key, _header(request, b"traceparent")
        )
        body = checked_body(_header(request, b"content-type"), await request.read())
        reply = await work.acceptance.enroll(asked, body)
        headers = [(name.encode(), value.encode()) for name, value in headers_of(reply).items()]
        content = Content(MEDIA_TYPE.encode(), reply.answer.body)
        return Response(reply.answer.status, headers, content)

    async def start(_app: Application) -> None:
        work.start()

    async def stop(_app: Application) -> None:
        await work.stop()

    app.router.add_post("/enrollments", enroll)
    app.on_start += start
    app.on_stop += stop
    return app


def _header(request: Request, name: bytes) -> str | None:
    value = request.get_first_header(name)
    return None if value is None else str(value, "latin-1")
