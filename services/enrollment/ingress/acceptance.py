"""Takes in what clients ask: the same request is published once, or again without effect."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final, Protocol, assert_never
from uuid import UUID, uuid5

from services.enrollment.ingress.access import Caller
from services.enrollment.ingress.answers import Answer, Answers, Begun, Progress
from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.publishing import Outgoing, Publisher
from services.enrollment.ingress.quotas import Quotas
from services.enrollment.ingress.request_spans import RequestSpan
from services.enrollment.ingress.resources import (
    Accepted,
    CancellationAccepted,
    EnrollmentAsked,
    location_of,
)
from services.enrollment.ingress.view.model import Status, ViewedEnrollment
from shared.breaker import BreakerOpen, Guard
from shared.clock import Clock
from shared.errors import DeliveryFailedError
from shared.events import EnrollmentCancellationRequested, EnrollmentEvent, EnrollmentRequested
from shared.identifiers import EnrollmentId, StudentId

ENROLLMENTS: Final = UUID("6c1e0cf4-3c0b-5a0e-9a57-0d7c2f0f1a11")  # a namespace of our own
ATTEMPTS_AT_ONCE: Final = 4
ATTEMPTS_MAX: Final = 200
SHED_RETRY_SECONDS: Final = 2
DELIVERY_RETRY_SECONDS: Final = 2
ACCEPTED: Final = 202
CAME_TO_NOTHING: Final = frozenset({Status.REJECTED, Status.CANCELLED})


class Queue(Protocol):
    """How long requests wait to be read."""

    @property
    def age_seconds(self) -> float:
        """Tell how long the oldest has waited."""


class FindEnrollments(Protocol):
    """What the view is asked here."""

    async def find(
        self, enrollment_ids: Sequence[EnrollmentId]
    ) -> dict[EnrollmentId, ViewedEnrollment]:
        """Find what is known of some enrollments."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a client, with the key that its repeats bear, or none."""

    caller: Caller
    key: str | None
    span: RequestSpan


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request and to each of its repeats."""

    answer: Answer
    enrollment_id: EnrollmentId
    was_replayed: bool


@dataclass(frozen=True, slots=True)
class _Request:
    """What is to be published, and how its repeats are known."""

    operation: str
    user: str
    key: str
    attempt: int
    event: EnrollmentEvent
    answer: Answer

    def fingerprint(self) -> str:
        return sha256(self.event.model_dump_json(exclude_none=True).encode()).hexdigest()


class Acceptance:
    """Says what is checked in which order; every refusal is a Problem."""

    def __init__(
        self,
        *,
        publisher: Publisher,
        kafka_breaker: Guard,
        answers: Answers,
        quotas: Quotas,
        view: FindEnrollments,
        queue: Queue,
        shed_age_seconds: float,
        clock: Clock,
    ) -> None:
        self._publisher = publisher
        self._kafka_breaker = kafka_breaker
        self._answers = answers
        self._quotas = quotas
        self._view = view
        self._queue = queue
        self._shed_age_seconds = shed_age_seconds
        self._clock = clock

    def overload(self) -> Problem | None:
        """Give the problem while those who came before wait too long: the same one to many.

        The server asks before a request costs anything; nothing here asks again.
        """
        age_seconds = self._queue.age_seconds
        return _queued(round(age_seconds)) if age_seconds > self._shed_age_seconds else None

    async def enroll(self, asked: Asked, body: EnrollmentAsked) -> Reply:
        """Take in a request for sections; returns once Kafka has it."""
        student_id = student_of(asked.caller, body.student_id)
        await self._keep_quota(student_id, asked.caller)
        key, attempt = await self._key_and_attempt(asked, student_id, body)
        enrollment_id = enrollment_id_of(asked.caller.subject, "create", key, attempt)
        event = EnrollmentRequested(
            enrollment_id=enrollment_id,
            student_id=student_id,
            term=body.term,
            sections=tuple(sorted(body.sections)),
            deadline_seconds=body.deadline_seconds,
        )
        accepted = Accepted(
            enrollment_id=enrollment_id, student_id=student_id, status=Status.PENDING
        )
        answer = Answer(ACCEPTED, accepted.model_dump_json().encode(), location_of(enrollment_id))
        request = _Request("create", asked.caller.subject, key, attempt, event, answer)
        return await self._once(request, asked.span)

    async def cancel(self, asked: Asked, known: ViewedEnrollment) -> Reply:
        """Take in the cancellation of an enrollment that the caller may cancel."""
        await self._keep_quota(known.student_id, asked.caller)
        event = EnrollmentCancellationRequested(
            enrollment_id=known.enrollment_id, student_id=known.student_id
        )
        accepted = CancellationAccepted(
            enrollment_id=known.enrollment_id, student_id=known.student_id, cancelling=True
        )
        location = location_of(known.enrollment_id)
        answer = Answer(ACCEPTED, accepted.model_dump_json().encode(), location)
        key = f"of:{known.enrollment_id}" if asked.key is None else f"key:{asked.key}"
        request = _Request("cancel", asked.caller.subject, key, 0, event, answer)
        return await self._once(request, asked.span)

    async def _keep_quota(self, student_id: StudentId, caller: Caller) -> None:
        """Staff act for many students: their quota is that of their program."""
        wait_seconds = await self._quotas.take(
            None if caller.is_staff else student_id, caller.client
        )
        if wait_seconds > 0:
            raise Problem(
                ProblemType.TOO_MANY_REQUESTS,
                "too many requests of this student or client: repeat this one later",
                retry_after_seconds=wait_seconds,
            )

    async def _key_and_attempt(
        self, asked: Asked, student_id: StudentId, body: EnrollmentAsked
    ) -> tuple[str, int]:
        """Without a key, the same request counts as new once the one before has come to nothing."""
        if asked.key is not None:
            return f"key:{asked.key}", 0
        key = f"sha256:{canonical(student_id, body)}"
        try:
            return key, await self._first_open_attempt(asked.caller.subject, key)
        except Problem as problem:
            if problem.kind is not ProblemType.DATABASE_UNAVAILABLE:
                raise
            raise Problem(
                ProblemType.KEY_REQUIRED,
                "repeats cannot be told apart right now: send an Idempotency-Key",
                retry_after_seconds=problem.retry_after_seconds,
            ) from problem

    async def _first_open_attempt(self, user: str, key: str) -> int:
        for first in range(0, ATTEMPTS_MAX, ATTEMPTS_AT_ONCE):
            numbers = range(first, first + ATTEMPTS_AT_ONCE)
            ids = [enrollment_id_of(user, "create", key, number) for number in numbers]
            known = await self._view.find(ids)
            for number, enrollment_id in zip(numbers, ids, strict=True):
                one = known.get(enrollment_id)
                if one is None or one.status not in CAME_TO_NOTHING:
                    return number
        raise Problem(
            ProblemType.TOO_MANY_REQUESTS,
            f"this very request has come to nothing {ATTEMPTS_MAX} times: send an Idempotency-Key",
            retry_after_seconds=SHED_RETRY_SECONDS,
        )

    async def _once(self, request: _Request, span: RequestSpan) -> Reply:
        """Publish what is not known to have been: of two at the same time, both, to no harm."""
        found = await self._begin(request)
        enrollment_id = request.event.enrollment_id
        match found.progress:
            case Progress.OTHER_BODY:
                raise Problem(
                    ProblemType.KEY_REUSED,
                    "this Idempotency-Key came with another request: use a new one for each",
                )
            case Progress.DONE:
                return Reply(found.answer or request.answer, enrollment_id, was_replayed=True)
            case Progress.FIRST | Progress.IN_FLIGHT | Progress.UNKNOWN:
                await self._publish(request.event, span)
                await self._finish(request)
                return Reply(request.answer, enrollment_id, found.progress is Progress.IN_FLIGHT)
            case unreachable:
                assert_never(unreachable)

    async def _begin(self, request: _Request) -> Begun:
        return await self._answers.begin(
            self._redis_key(request), request.fingerprint(), request.operation
        )

    async def _finish(self, request: _Request) -> None:
        await self._answers.finish(
            self._redis_key(request), request.fingerprint(), request.answer, request.operation
        )

    def _redis_key(self, request: _Request) -> str:
        return self._answers.key_of(request.operation, request.user, request.key, request.attempt)

    async def _publish(self, event: EnrollmentEvent, span: RequestSpan) -> None:
        outgoing = Outgoing(event, span.context_of(event), self._clock())
        try:
            await self._kafka_breaker.call_async(self._publisher.publish, outgoing)
        except BreakerOpen as error:
            raise _undelivered(error.retry_after_seconds) from error
        except (DeliveryFailedError, TimeoutError) as error:
            raise _undelivered(DELIVERY_RETRY_SECONDS) from error


@lru_cache(maxsize=1)
def _queued(seconds: int) -> Problem:
    return Problem(
        ProblemType.OVERLOADED,
        f"requests wait for {seconds} s: repeat this one later, with the same key",
        retry_after_seconds=SHED_RETRY_SECONDS,
    )


def _undelivered(retry_after_seconds: float) -> Problem:
    return Problem(
        ProblemType.KAFKA_UNAVAILABLE,
        "whether the request was taken in is not known: repeat it with the same key",
        retry_after_seconds=retry_after_seconds,
    )


def student_of(caller: Caller, named: StudentId | None) -> StudentId:
    """Tell for whom a caller asks: a student for herself, staff for the one they name."""
    if caller.is_staff:
        if named is None:
            raise Problem(ProblemType.VALIDATION_FAILED, "student_id: staff must say for whom")
        return named
    assert caller.student_id is not None
    if named not in (None, caller.student_id):
        raise Problem(ProblemType.FORBIDDEN, "student_id: a student may only ask for herself")
    return caller.student_id


def canonical(student_id: StudentId, body: EnrollmentAsked) -> str:
    """Hash what a request asks for: in which order it names the sections does not count."""
    parts = (student_id, body.term, *sorted(body.sections), repr(body.deadline_seconds))
    return sha256("\n".join(parts).encode()).hexdigest()


def enrollment_id_of(user: str, operation: str, key: str, attempt: int) -> EnrollmentId:
    """Name the enrollment that a request is about, so that its repeats are about the same."""
    return EnrollmentId(uuid5(ENROLLMENTS, "\n".join((user, operation, key, str(attempt)))))
