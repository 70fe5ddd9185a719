"""What OpenAPI says beyond the types of bodies: problems, headers, who may call."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from services.enrollment.ingress.correlation import CORRELATION, HEADER
from services.enrollment.ingress.problems import PROBLEM_MEDIA_TYPE, ProblemType

BEARER: Final = "bearer"
SCHEMAS: Final = "#/components/schemas/"
HEADERS: Final = "#/components/headers/"
SECURITY_SCHEMES: Final = {
    BEARER: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "a student's token, or one with the scope of staff",
    }
}
ALWAYS_POSSIBLE: Final = (
    ProblemType.MALFORMED_REQUEST,
    ProblemType.TOO_SLOW,
    ProblemType.HEADERS_TOO_LARGE,
    ProblemType.OVERLOADED,
    ProblemType.TOO_MANY_CONNECTIONS,
)
FOR_THE_KNOWN: Final = (
    ProblemType.UNAUTHORIZED,
    ProblemType.FORBIDDEN,
    ProblemType.ISSUER_UNAVAILABLE,
)
# What FastAPI documents of its own accord where a path has parameters, and never happens here.
NOT_OURS: Final = ("HTTPValidationError", "ValidationError")

TEXT: Final = {"type": "string"}
ANSWERED_HEADERS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    HEADER: (
        "names this request in the logs; it is yours, where you have sent one",
        {"type": "string", "pattern": f"^{CORRELATION.pattern.decode()}$"},
    ),
    "Allow": ("the methods that this path knows", TEXT),
    "Cache-Control": ("who may keep this answer", TEXT),
    "ETag": ("names this very content; send it as If-None-Match", TEXT),
    "Idempotency-Replayed": (
        "this is the answer to an earlier request with the same key",
        {"type": "string", "const": "true"},
    ),
    "Link": ('`rel="next"`: where the next page is; none: this is the last', TEXT),
    "Location": (
        "where the enrollment is found",
        {"type": "string", "pattern": "^/enrollments/[0-9a-f-]{36}$"},
    ),
    "Preference-Applied": ("how long it would wait for the outcome, at most", TEXT),
    "Retry-After": ("seconds after which to ask again", {"type": "integer", "minimum": 1}),
    "View-Age": (
        "seconds since the view that this comes from was seen to be up to date",
        {"type": "number", "minimum": 0},
    ),
    "WWW-Authenticate": ("which token is wanted, and what is wrong with this one", TEXT),
    "X-Accel-Buffering": ("asks proxies to pass events on at once", TEXT),
}
OF_ALL: Final = {HEADER: True, "Cache-Control": False}
OF_PROBLEMS: Final[dict[int, dict[str, bool]]] = {
    401: {"WWW-Authenticate": True},
    403: {"WWW-Authenticate": False},
    429: {"Retry-After": True},
    503: {"Retry-After": True},
}


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str
    detail: str


class ProblemBody(BaseModel):
    """An RFC 9457 problem: decide by `type`, show `detail` to people."""

    type: str = Field(examples=[ProblemType.NOT_FOUND.path])
    title: str
    status: int
    detail: str
    instance: str | None = None
    correlation_id: str | None = None
    errors: list[FieldError] = Field(default=[], description="the fields to correct, if any")


def problems(*kinds: ProblemType) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that a path may answer with, those of every path among them."""
    by_status: dict[int, list[ProblemType]] = defaultdict(list)
    for kind in dict.fromkeys((*kinds, *ALWAYS_POSSIBLE)):
        by_status[kind.status].append(kind)
    return {status: _response(status, found) for status, found in sorted(by_status.items())}


def _response(status: int, kinds: list[ProblemType]) -> dict[str, Any]:
    schema = {
        "allOf": [{"$ref": f"{SCHEMAS}{ProblemBody.__name__}"}],
        "properties": {"type": {"enum": [kind.path for kind in kinds]}},
    }
    headers = {name: _told(name, always) for name, always in OF_PROBLEMS.get(status, {}).items()}
    return {
        "description": "; ".join(kind.title for kind in kinds),
        "content": {PROBLEM_MEDIA_TYPE: {"schema": schema}},
        "headers": headers,
    }


def told(*always: str, sometimes: Sequence[str] = ()) -> dict[str, Any]:
    """Describe the headers of an answer, as a part of its description."""
    return {
        "headers": {name: _told(name, name in always) for name in (*always, *sometimes)},
    }


def _told(name: str, is_always_there: bool) -> dict[str, Any]:
    description, schema = ANSWERED_HEADERS[name]
    return {"description": description, "required": is_always_there, "schema": schema}


def header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """Describe a header of a request."""
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema},
    }


CORRELATION_HEADER: Final = header(
    HEADER, f"names the request in the logs, if it is {CORRELATION.pattern.decode()}"
)


def operation(*headers: dict[str, Any], body: type[BaseModel] | None = None) -> dict[str, Any]:
    """Describe what a path that needs a token takes and FastAPI cannot see."""
    described: dict[str, Any] = {
        "security": [{BEARER: []}],
        "parameters": [*headers, CORRELATION_HEADER],
    }
    if body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": f"{SCHEMAS}{body.__name__}"}}},
        }
    return described


def complete(document: dict[str, Any], bodies: Sequence[type[BaseModel]]) -> dict[str, Any]:
    """Add what operations refer to, and what all answers have; take away what never happens."""
    components = document.setdefault("components", {})
    components["securitySchemes"] = SECURITY_SCHEMES
    _, definitions = models_json_schema(
        [(body, "validation") for body in bodies], ref_template=SCHEMAS + "{model}"
    )
    schemas = components.setdefault("schemas", {})
    schemas.update(definitions.get("$defs", {}))
    for name in NOT_OURS:
        schemas.pop(name, None)
    components["headers"] = {name: _told(name, always) for name, always in OF_ALL.items()}
    of_all = {name: {"$ref": HEADERS + name} for name in OF_ALL}
    for responses in _all_responses(document):
        if NOT_OURS[0] in str(responses.get("422")):
            del responses["422"]
        for response in responses.values():
            response["headers"] = of_all | response.get("headers", {})
    return document


def _all_responses(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        for described in methods.values():
            yield described["responses"]
