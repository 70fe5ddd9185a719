"""The work of our POST, which is the same in every framework: token, key, body, Redis, Kafka."""

import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from services.enrollment.ingress.acceptance import Acceptance, Asked, Reply
from services.enrollment.ingress.access import Access, keys_of
from services.enrollment.ingress.answers import Answers
from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.publishing import Publisher, ingress_producer_settings
from services.enrollment.ingress.quotas import Bucket, Quotas
from services.enrollment.ingress.reading import KEY
from services.enrollment.ingress.request_spans import RequestSpan
from services.enrollment.ingress.resources import EnrollmentAsked
from services.enrollment.ingress.settings import IngressSettings
from services.enrollment.ingress.view.model import ViewedEnrollment
from shared.breaker import Breaker
from shared.cache import Cache
from shared.clock import system_clock
from shared.identifiers import EnrollmentId, new_event_id
from shared.process import GC_ALLOCATIONS
from shared.tracing import Tracing

MEDIA_TYPE: Final = "application/json"


class _NoView:
    """Is never asked: every request has a key."""

    async def find(
        self, enrollment_ids: Sequence[EnrollmentId]
    ) -> dict[EnrollmentId, ViewedEnrollment]:
        raise AssertionError(f"a request came without a key, and may be one of {enrollment_ids}")


class _EmptyQueue:
    """Nobody waits: nothing is shed."""

    age_seconds: float = 0.0


class Work:
    """What the ingress does with a request, without what HTTP needs of a framework."""

    def __init__(self, settings: IngressSettings) -> None:
        timeout_seconds = settings.kafka_timeout_seconds
        redis_breaker = Breaker(
            "redis", settings.redis_policy, timeout_seconds=settings.redis_timeout_seconds
        )
        self._tracing = Tracing("frameworks", "1", sample_ratio=0.0, exporter=None)
        self._cache = Cache(settings.redis_url.get_secret_value(), redis_breaker)
        self._publisher = Publisher(
            ingress_producer_settings(settings.kafka_bootstrap_servers, timeout_seconds),
            new_event_id,
        )
        self.access = Access(settings, keys_of(settings))
        self.acceptance = Acceptance(
            publisher=self._publisher,
            kafka_breaker=Breaker(
                "kafka", settings.kafka_policy, timeout_seconds=timeout_seconds + 1
            ),
            answers=_answers(settings, self._cache),
            quotas=_quotas(settings, self._cache),
            view=_NoView(),
            queue=_EmptyQueue(),
            shed_age_seconds=settings.shed_age_seconds,
            clock=system_clock,
        )

    def start(self) -> None:
        """Connect to Kafka; call it on the event loop that will work, last of all."""
        self._publisher.start()
        _calm_garbage_collection()

    async def stop(self) -> None:
        """Let go of Kafka and Redis."""
        await self._publisher.stop()
        await self._cache.close()

    @asynccontextmanager
    async def lifespan(self, _app: Any) -> AsyncIterator[None]:
        """Start and stop with an application."""
        self.start()
        try:
            yield
        finally:
            await self.stop()

    def asked(self, authorization: str | None, key: str | None, traceparent: str | None) -> Asked:
        """Tell who asks."""
        caller = self.access.caller(authorization)
        span = RequestSpan(self._tracing, "POST /enrollments", traceparent, is_wanted=False)
        return Asked(caller, key, span)


def _calm_garbage_collection() -> None:
    """Do as every process of ours does: its collections would be all that p99 tells of."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 20)


def _answers(settings: IngressSettings, cache: Cache) -> Answers:
    return Answers(
        cache,
        prefix=settings.idempotency_key_prefix,
        default_ttl_seconds=settings.idempotency_default_ttl,
        ttl_seconds=settings.idempotency_ttl,
    )


def _quotas(settings: IngressSettings, cache: Cache) -> Quotas:
    return Quotas(
        cache,
        student=Bucket(settings.quota_student_per_second, settings.quota_student_burst),
        client=Bucket(settings.quota_client_per_second, settings.quota_client_burst),
        prefix=f"quota-{settings.idempotency_key_prefix}",  # each round begins with full buckets
    )


def checked_key(given: str | None) -> str | None:
    """Read an Idempotency-Key as the ingress does, where the framework is not Starlette."""
    if given is not None and KEY.fullmatch(given) is None:
        raise Problem(ProblemType.KEY_INVALID)
    return given


def checked_body(media_type: str | None, body: bytes) -> EnrollmentAsked:
    """Validate a body as the ingress does, where the framework is not Starlette."""
    if media_type is None or media_type.partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise Problem(ProblemType.UNSUPPORTED_MEDIA_TYPE)
    return EnrollmentAsked.model_validate_json(body)


def headers_of(reply: Reply) -> dict[str, str]:
    """Give the headers of the answer."""
    return {"Cache-Control": "no-store", "Location": reply.answer.location, "Retry-After": "1"}
