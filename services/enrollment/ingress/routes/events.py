"""The path that streams what happens to an enrollment, as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Protocol

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from services.enrollment.ingress.access import Access
from services.enrollment.ingress.documenting import header, operation, problems, told
from services.enrollment.ingress.known import Known
from services.enrollment.ingress.limits import step_aside
from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.reading import accepts
from services.enrollment.ingress.routes.enrollments import LOOKING_FOR_ONE
from services.enrollment.ingress.view.model import Happening
from shared.identifiers import EnrollmentId

KEEP_ALIVE_SECONDS: Final = 15.0
EVENT_STREAM: Final = "text/event-stream"
EVENT: Final = (
    "Of each event `id` is a number, `event` names it, such as EnrollmentConfirmed, "
    "and `data` is JSON: `at`, and `reasons` as of an enrollment."
)
LAST_EVENT_ID: Final = header(
    "Last-Event-ID", "the id of the last event that you have seen", pattern="^[0-9]{1,9}$"
)

Changes = AsyncIterator[tuple[int, Happening]]


class Watching(Protocol):
    """Who tells of changes."""

    def changes(self, enrollment_id: EnrollmentId, after: int) -> Changes:
        """Give what happens after happening number `after`; ends when nothing more will."""


@dataclass(frozen=True)
class EventPaths:
    """What this path asks."""

    access: Access
    known: Known
    watching: Watching


def event_router(paths: EventPaths) -> APIRouter:
    """Make the router."""
    router = APIRouter(tags=["enrollments"])

    @router.get(
        "/enrollments/{enrollment_id}/events",
        response_class=StreamingResponse,
        responses={
            200: {
                "content": {EVENT_STREAM: {"schema": {"description": EVENT}}},
                "description": "Its events, as they happen",
                **told("X-Accel-Buffering"),
            },
            **problems(*LOOKING_FOR_ONE, ProblemType.NOT_ACCEPTABLE),
        },
        openapi_extra=operation(LAST_EVENT_ID),
    )
    async def stream(request: Request, enrollment_id: EnrollmentId) -> Response:
        """Tell what happens to an enrollment, from the beginning or after Last-Event-ID.

        The stream ends when all has happened that will: the outcome, and what it gives back.
        """
        caller = paths.access.caller(request.headers.get("authorization"))
        if not accepts(request, EVENT_STREAM):
            raise Problem(ProblemType.NOT_ACCEPTABLE)
        await paths.known.of(caller, enrollment_id)
        changes = paths.watching.changes(enrollment_id, _last_event_id(request))
        step_aside(request.scope)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_told(changes), media_type=EVENT_STREAM, headers=headers)

    return router


def _last_event_id(request: Request) -> int:
    given = request.headers.get("last-event-id", "0")
    if not (given.isascii() and given.isdigit() and len(given) <= 9):
        raise Problem(ProblemType.VALIDATION_FAILED, "Last-Event-ID: a number that was sent as id")
    return int(given)


async def _told(changes: Changes) -> AsyncIterator[bytes]:
    """Write events, and a comment where none comes, so that nobody on the way hangs up."""
    coming = asyncio.ensure_future(anext(changes, None))
    try:
        while True:
            done, _ = await asyncio.wait([coming], timeout=KEEP_ALIVE_SECONDS)
            if not done:
                yield b": nothing new\n\n"
                continue
            found = coming.result()
            if found is None:
                return
            yield _written(*found)
            coming = asyncio.ensure_future(anext(changes, None))
    finally:
        coming.cancel()


def _written(number: int, happening: Happening) -> bytes:
    data = {
        "at": happening.at.isoformat(),
        "reasons": [one.model_dump(mode="json", exclude_none=True) for one in happening.reasons],
    }
    return f"id: {number}\nevent: {happening.event}\ndata: {json.dumps(data)}\n\n".encode()
