"""The paths of enrollments: ask, look, cancel, many at once."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol

from fastapi import APIRouter, Query, Request, Response

from services.enrollment.ingress.acceptance import Acceptance, Asked, Reply
from services.enrollment.ingress.access import Access, Caller
from services.enrollment.ingress.answering import answered, json_answer, link_to_next, tagged
from services.enrollment.ingress.documenting import (
    FOR_THE_KNOWN,
    header,
    operation,
    problems,
    told,
)
from services.enrollment.ingress.known import Known
from services.enrollment.ingress.limits import step_aside
from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.reading import idempotency_key, read_body, wait_seconds
from services.enrollment.ingress.request_spans import RequestSpan
from services.enrollment.ingress.resources import (
    KEY_HEADER_PATTERN,
    Accepted,
    BatchAnswer,
    BatchAsked,
    BatchItemAsked,
    BatchResult,
    CancellationAccepted,
    EnrollmentAsked,
    EnrollmentPage,
    EnrollmentResource,
)
from services.enrollment.ingress.settings import IngressSettings
from services.enrollment.ingress.view.model import Status, ViewedEnrollment
from shared.events import StudentIdField
from shared.identifiers import EnrollmentId
from shared.tracing import Tracing

PAGE_MAX: Final = 100
AT_ONCE_MAX: Final = 50
RETRY_SECONDS: Final = "1"
DECIDED: Final = frozenset({Status.CONFIRMED, Status.REJECTED, Status.CANCELLED})
GIVEN_UP: Final = frozenset({Status.REJECTED, Status.CANCELLED})

KEY: Final = header(
    "Idempotency-Key",
    "names the request: its repeats get the same answer; without one, the same body does",
    pattern=KEY_HEADER_PATTERN,
)
PREFER: Final = header("Prefer", "`wait=N`: hold the answer until the outcome, at most N seconds")
TRACEPARENT: Final = header("traceparent", "of staff: the W3C trace context to continue")
DEBUG_HEADER: Final = "Debug-Trace"
DEBUG: Final = header(DEBUG_HEADER, "of staff: have this trace recorded, whatever the value")
IF_NONE_MATCH: Final = header("If-None-Match", "the ETag of what you have: 304 while it is so")
WRITING: Final = (
    *FOR_THE_KNOWN,
    ProblemType.KEY_INVALID,
    ProblemType.KEY_REUSED,
    ProblemType.TOO_MANY_REQUESTS,
    ProblemType.KAFKA_UNAVAILABLE,
)
SENDING: Final = (
    *WRITING,
    ProblemType.MALFORMED_BODY,
    ProblemType.BODY_TOO_LARGE,
    ProblemType.UNSUPPORTED_MEDIA_TYPE,
    ProblemType.VALIDATION_FAILED,
    ProblemType.KEY_REQUIRED,
)
LOOKING: Final = (
    *FOR_THE_KNOWN,
    ProblemType.VALIDATION_FAILED,
    ProblemType.TOO_MANY_REQUESTS,
    ProblemType.DATABASE_UNAVAILABLE,
)
LOOKING_FOR_ONE: Final = (*LOOKING, ProblemType.NOT_FOUND, ProblemType.VIEW_BEHIND)


class Waiting(Protocol):
    """Who is told of changes."""

    async def until_ended(
        self, enrollment_id: EnrollmentId, seconds: float, *, statuses: Collection[Status]
    ) -> ViewedEnrollment | None:
        """Wait until it has one of these statuses, no longer than this."""


@dataclass(frozen=True)
class EnrollmentPaths:
    """What these paths ask."""

    access: Access
    acceptance: Acceptance
    known: Known
    waiting: Waiting
    settings: IngressSettings
    tracing: Tracing

    def asked(self, request: Request, route: str) -> Asked:
        """Tell who asks, how repeats of it are known, and what trace it is part of."""
        caller = self.access.caller(request.headers.get("authorization"))
        is_wanted = caller.is_staff and request.headers.get(DEBUG_HEADER) is not None
        came_with = request.headers.get("traceparent") if caller.is_staff else None
        span = RequestSpan(self.tracing, route, came_with, is_wanted=is_wanted)
        return Asked(caller, idempotency_key(request), span)


def enrollment_router(paths: EnrollmentPaths) -> APIRouter:
    """Make the router."""
    router = APIRouter(tags=["enrollments"])
    _add_writing(router, paths)
    _add_batch(router, paths)
    _add_looking(router, paths)
    return router


def _add_writing(router: APIRouter, paths: EnrollmentPaths) -> None:
    @router.post(
        "/enrollments",
        status_code=202,
        response_model=Accepted,
        responses={
            200: {
                "model": EnrollmentResource,
                "description": "The outcome, where you waited",
                **told("Location", "Preference-Applied", sometimes=["Idempotency-Replayed"]),
            },
            202: told(
                "Location",
                "Retry-After",
                sometimes=["Idempotency-Replayed", "Preference-Applied"],
            ),
            **problems(*SENDING),
        },
        openapi_extra=operation(KEY, PREFER, TRACEPARENT, DEBUG, body=EnrollmentAsked),
    )
    async def enroll(request: Request) -> Response:
        """Ask for sections of one term, all or nothing.

        The answer comes once the request cannot be lost; its outcome is found at Location. The same
        request may be sent again as often as you like: it is decided once. Without an
        Idempotency-Key the same body counts as a new request once the one before was rejected or
        cancelled.
        """
        asked = paths.asked(request, "POST /enrollments")
        with asked.span as span:
            reply = await paths.acceptance.enroll(asked, await read_body(request, EnrollmentAsked))
            response = await _accepted(request, reply, paths, DECIDED)
            span.status = response.status_code
            return response

    @router.delete(
        "/enrollments/{enrollment_id}",
        status_code=202,
        response_model=CancellationAccepted,
        responses={
            200: {
                "model": EnrollmentResource,
                "description": "The outcome, where you waited",
                **told("Location", "Preference-Applied", sometimes=["Idempotency-Replayed"]),
            },
            202: told(
                "Location",
                "Retry-After",
                sometimes=["Idempotency-Replayed", "Preference-Applied"],
            ),
            **problems(*WRITING, *LOOKING_FOR_ONE),
        },
        openapi_extra=operation(KEY, PREFER, TRACEPARENT, DEBUG),
    )
    async def cancel(request: Request, enrollment_id: EnrollmentId) -> Response:
        """Give an enrollment up, pending or confirmed; all its seats are given back.

        To cancel and ask again is not atomic: a seat that you give up may go to somebody else
        before your next request is decided.
        """
        asked = paths.asked(request, "DELETE /enrollments/{enrollment_id}")
        with asked.span as span:
            known = await paths.known.of(asked.caller, enrollment_id)
            reply = await paths.acceptance.cancel(asked, known)
            response = await _accepted(request, reply, paths, GIVEN_UP)
            span.status = response.status_code
            return response


async def _accepted(
    request: Request, reply: Reply, paths: EnrollmentPaths, awaited: Collection[Status]
) -> Response:
    """Answer; or hold the answer until the outcome, where the client prefers that."""
    headers = {"Location": reply.answer.location}
    if reply.was_replayed:
        headers["Idempotency-Replayed"] = "true"
    seconds = wait_seconds(request, paths.settings.wait_seconds_max)
    if seconds:
        headers["Preference-Applied"] = f"wait={seconds:.0f}"
        step_aside(request.scope)
        ended = await paths.waiting.until_ended(reply.enrollment_id, seconds, statuses=awaited)
        if ended is not None:
            return answered(EnrollmentResource.of(ended), headers)
    headers["Retry-After"] = RETRY_SECONDS
    return json_answer(reply.answer.body, headers, reply.answer.status)


def _add_batch(router: APIRouter, paths: EnrollmentPaths) -> None:
    @router.post(
        "/enrollments:batch",
        response_model=BatchAnswer,
        responses=problems(*SENDING),
        openapi_extra=operation(TRACEPARENT, DEBUG, body=BatchAsked),
    )
    async def enroll_many(request: Request) -> Response:
        """Ask for many students at once, as staff; each request is taken in, or refused, alone."""
        asked = paths.asked(request, "POST /enrollments:batch")
        asked.caller.require_staff()
        body = await read_body(request, BatchAsked)
        if len(body.requests) > paths.settings.batch_requests_max:
            raise Problem(
                ProblemType.VALIDATION_FAILED,
                f"requests: at most {paths.settings.batch_requests_max} in one batch",
            )
        results = await _each(paths.acceptance, asked, body.requests)
        answer = BatchAnswer(results=results)
        return json_answer(answer.model_dump_json(exclude_none=True).encode())


async def _each(
    acceptance: Acceptance, asked: Asked, requests: tuple[BatchItemAsked, ...]
) -> list[BatchResult]:
    turn = asyncio.Semaphore(AT_ONCE_MAX)

    async def one(item: BatchItemAsked) -> BatchResult:
        async with turn:
            of_item = Asked(asked.caller, item.idempotency_key, asked.span.another())
            with of_item.span as span:
                result = await _result(acceptance, of_item, item)
                span.status = result.status
                return result

    return list(await asyncio.gather(*(one(item) for item in requests)))


async def _result(acceptance: Acceptance, asked: Asked, item: BatchItemAsked) -> BatchResult:
    try:
        reply = await acceptance.enroll(asked, item)
    except Problem as problem:
        return BatchResult(status=problem.kind.status, problem=problem.members())
    return BatchResult(
        status=reply.answer.status,
        enrollment_id=reply.enrollment_id,
        location=reply.answer.location,
    )


def _add_looking(router: APIRouter, paths: EnrollmentPaths) -> None:
    @router.get(
        "/enrollments/{enrollment_id}",
        response_model=EnrollmentResource,
        responses={
            200: told("ETag", "View-Age", sometimes=["Retry-After"]),
            304: {
                "description": "It is as you know it",
                **told("ETag", "View-Age", sometimes=["Retry-After"]),
            },
            **problems(*LOOKING_FOR_ONE),
        },
        openapi_extra=operation(IF_NONE_MATCH),
    )
    async def show(request: Request, enrollment_id: EnrollmentId) -> Response:
        """Show an enrollment and its outcome; one of another student is not found."""
        caller = paths.access.caller(request.headers.get("authorization"))
        found = await paths.known.of(caller, enrollment_id)
        headers = {"View-Age": paths.known.age()}
        if found.status is Status.PENDING:
            headers["Retry-After"] = RETRY_SECONDS
        return tagged(request, EnrollmentResource.of(found).model_dump_json().encode(), headers)

    @router.get(
        "/enrollments",
        response_model=EnrollmentPage,
        responses={
            200: told("View-Age", sometimes=["Link"]),
            **problems(*LOOKING, ProblemType.NOT_FOUND),
        },
        openapi_extra=operation(),
    )
    async def list_of_student(
        request: Request,
        student: Annotated[StudentIdField | None, Query()] = None,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 20,
    ) -> Response:
        """List a student's enrollments, newest first; a student sees her own."""
        caller = paths.access.caller(request.headers.get("authorization"))
        page = await paths.known.page(_whose(caller, student), cursor, limit)
        headers = {"View-Age": paths.known.age(), **link_to_next(request, page.next)}
        return answered(page, headers)


def _whose(caller: Caller, student: Any) -> Any:
    if caller.is_staff:
        if student is None:
            raise Problem(ProblemType.VALIDATION_FAILED, "student: staff must say whose")
        return student
    if student not in (None, caller.student_id):
        raise Problem(ProblemType.NOT_FOUND)
    return caller.student_id
