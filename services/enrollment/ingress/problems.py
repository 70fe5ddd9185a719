"""Every way in which the ingress says no: RFC 9457 problems, each of which says what to do."""

import json
from collections.abc import Mapping
from enum import Enum
from math import ceil
from types import MappingProxyType
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shared.logs import CORRELATION_ID

PROBLEM: Final = "enrollment.problem"  # where a scope holds which problem was answered
PROBLEM_PATH: Final = "/problems/"
PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 1  # where nobody knows better
ASKS_FOR_PATIENCE: Final = frozenset({429, 503})
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class ProblemType(Enum):
    """A kind of problem; its slug never changes, for clients decide by it."""

    slug: str
    status: int
    title: str
    advice: str

    def __init__(self, slug: str, status: int, title: str, advice: str) -> None:
        self.slug = slug
        self.status = status
        self.title = title
        self.advice = advice

    @property
    def path(self) -> str:
        """Give what clients find as `type`: a path of the ingress that explains the problem."""
        return f"{PROBLEM_PATH}{self.slug}"

    @classmethod
    def of(cls, slug: str) -> "ProblemType | None":
        """Find a type by its slug."""
        return next((kind for kind in cls if kind.slug == slug), None)

    MALFORMED_REQUEST = (
        "malformed-request",
        400,
        "The request is not HTTP/1.1 as it should be",
        "Send the request with an HTTP library; do not repeat it as it is.",
    )
    MALFORMED_BODY = (
        "malformed-body",
        400,
        "The body is not JSON",
        "Send one JSON object in UTF-8; do not repeat the request as it is.",
    )
    KEY_INVALID = (
        "key-invalid",
        400,
        "The Idempotency-Key cannot be used",
        "Send one Idempotency-Key of 1 to 255 visible ASCII characters, such as a new UUID.",
    )
    UNAUTHORIZED = (
        "unauthorized",
        401,
        "There is no valid token",
        (
            "Send `Authorization: Bearer <token>` with a token that is valid now; "
            "get a new one where it has expired."
        ),
    )
    FORBIDDEN = (
        "forbidden",
        403,
        "The token does not allow this",
        "Use a token with the scope that this path asks for.",
    )
    NOT_FOUND = (
        "not-found",
        404,
        "There is no such thing, or it is not yours",
        "Check the path and the ids in it; students see their own enrollments only.",
    )
    METHOD_NOT_ALLOWED = (
        "method-not-allowed",
        405,
        "The path does not know this method",
        "Use one of the methods in the header Allow.",
    )
    NOT_ACCEPTABLE = (
        "not-acceptable",
        406,
        "The path does not answer in a form that you accept",
        "Accept application/json, or text/event-stream for events.",
    )
    TOO_SLOW = (
        "too-slow",
        408,
        "The request did not arrive in time",
        "Send the whole request at once, on a new connection.",
    )
    BODY_TOO_LARGE = (
        "body-too-large",
        413,
        "The body is too large",
        "Send less in one request; split a batch.",
    )
    UNSUPPORTED_MEDIA_TYPE = (
        "unsupported-media-type",
        415,
        "The body is not declared as JSON",
        "Send `Content-Type: application/json`, and no Content-Encoding.",
    )
    KEY_REUSED = (
        "key-reused",
        422,
        "The Idempotency-Key was used with another body",
        "Use a new key for a new request; to repeat a request, send the very same body.",
    )
    VALIDATION_FAILED = (
        "validation-failed",
        422,
        "The request is JSON, but not what this path takes",
        "Correct the fields that `errors` names; unknown fields are refused.",
    )
    TOO_MANY_REQUESTS = (
        "too-many-requests",
        429,
        "The quota is used up",
        "Wait as long as Retry-After says, then repeat the request with the same Idempotency-Key.",
    )
    HEADERS_TOO_LARGE = (
        "headers-too-large",
        431,
        "The request line and the headers are too large",
        "Send fewer or shorter headers, on a new connection.",
    )
    INTERNAL_ERROR = (
        "internal-error",
        500,
        "The ingress has a defect",
        (
            "Repeat the request with the same Idempotency-Key; if it fails again, report the "
            "correlation id."
        ),
    )
    KEY_REQUIRED = (
        "key-required",
        503,
        "Without an Idempotency-Key the request cannot be taken now",
        "Send an Idempotency-Key: with one, requests are taken while the database is away.",
    )
    DATABASE_UNAVAILABLE = (
        "database-unavailable",
        503,
        "The database does not answer",
        "Wait as long as Retry-After says, then repeat the request.",
    )
    KAFKA_UNAVAILABLE = (
        "kafka-unavailable",
        503,
        "Kafka does not answer",
        (
            "Wait as long as Retry-After says, then repeat the request with the same "
            "Idempotency-Key: with the same key it counts once, whether it was taken or not."
        ),
    )
    CACHE_UNAVAILABLE = (
        "cache-unavailable",
        503,
        "Redis does not answer",
        "Wait as long as Retry-After says, then repeat the request.",
    )
    ISSUER_UNAVAILABLE = (
        "issuer-unavailable",
        503,
        "The issuer's keys are not known yet",
        "Wait as long as Retry-After says, then repeat the request.",
    )
    VIEW_BEHIND = (
        "view-behind",
        503,
        "The view has not caught up with what was asked for",
        "Wait as long as Retry-After says, then repeat the request.",
    )
    OVERLOADED = (
        "overloaded",
        503,
        "There is more to do than can be done",
        "Wait as long as Retry-After says, then repeat the request with the same Idempotency-Key.",
    )
    TOO_MANY_CONNECTIONS = (
        "too-many-connections",
        503,
        "There are too many connections",
        "Wait as long as Retry-After says, then connect again; keep connections and reuse them.",
    )


STANDARD_MEMBERS: Final = frozenset(
    {"type", "title", "status", "detail", "instance", "correlation_id"}
)


class Problem(Exception):  # noqa: N818  (RFC 9457 calls it so)
    """Ends a request: `detail` says what is wrong with this one, and never what others own.

    An answer of status 429 or 503 always carries Retry-After.
    """

    def __init__(
        self,
        kind: ProblemType,
        detail: str | None = None,
        *,
        retry_after_seconds: float | None = None,
        instance: str | None = None,
        headers: Mapping[str, str] = NOTHING,
        extensions: Mapping[str, Any] = NOTHING,
    ) -> None:
        assert not STANDARD_MEMBERS & extensions.keys(), "an extension is no standard member"
        super().__init__(detail or kind.advice)
        self.kind = kind
        self.detail = detail or kind.advice
        self.retry_after_seconds = _whole_seconds(kind, retry_after_seconds)
        self._instance = instance
        self._headers = headers
        self._extensions = extensions

    def headers(self) -> dict[str, str]:
        """Give the headers of the answer, without those of its body's type and length."""
        headers = {"Cache-Control": "no-store", **self._headers}
        if self.retry_after_seconds is not None:
            headers["Retry-After"] = str(self.retry_after_seconds)
        return headers

    def members(self) -> dict[str, Any]:
        """Give the members of the answer; the correlation id is that of the context."""
        members = {
            "type": self.kind.path,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "instance": self._instance,
            "correlation_id": CORRELATION_ID.get(),
        }
        known = {name: value for name, value in members.items() if value is not None}
        return {**known, **self._extensions}

    def body(self) -> bytes:
        """Give the answer's body."""
        text = json.dumps(self.members(), ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8", errors="replace")  # a lone surrogate of a client's

    def response(self) -> Response:
        """Give the answer."""
        return ProblemResponse(
            self.body(),
            status_code=self.kind.status,
            headers=self.headers(),
            media_type=PROBLEM_MEDIA_TYPE,
            kind=self.kind,
        )


class ProblemResponse(Response):
    """The answer to a problem; tells the layers around it which that is."""

    def __init__(self, *arguments: Any, kind: ProblemType, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._kind = kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        scope[PROBLEM] = self._kind.slug
        await super().__call__(scope, receive, send)


def _whole_seconds(kind: ProblemType, seconds: float | None) -> int | None:
    if seconds is None:
        return RETRY_SECONDS if kind.status in ASKS_FOR_PATIENCE else None
    return max(RETRY_SECONDS, ceil(seconds))
