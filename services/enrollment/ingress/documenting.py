"""What OpenAPI says beyond the types of bodies: problems, headers, who may call."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from services.enrollment.ingress.problems import PROBLEM_MEDIA_TYPE, ProblemType

BEARER: Final = "bearer"
SCHEMAS: Final = "#/components/schemas/"
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
FOR_THE_KNOWN: Final = (ProblemType.UNAUTHORIZED, ProblemType.FORBIDDEN)


class ProblemBody(BaseModel):
    """An RFC 9457 problem: decide by `type`, show `detail` to people."""

    type: str = Field(examples=[ProblemType.NOT_FOUND.path])
    title: str
    status: int
    detail: str
    instance: str | None = None
    correlation_id: str | None = None


def problems(*kinds: ProblemType) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that a path may answer with, those of every path among them."""
    by_status: dict[int, list[ProblemType]] = defaultdict(list)
    for kind in dict.fromkeys((*kinds, *ALWAYS_POSSIBLE)):
        by_status[kind.status].append(kind)
    return {status: _response(found) for status, found in sorted(by_status.items())}


def _response(kinds: list[ProblemType]) -> dict[str, Any]:
    schema = ProblemBody.model_json_schema()
    schema["properties"]["type"]["enum"] = [kind.path for kind in kinds]
    return {
        "description": "; ".join(kind.title for kind in kinds),
        "content": {PROBLEM_MEDIA_TYPE: {"schema": schema}},
    }


def header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """Describe a header of a request."""
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema},
    }


def operation(*headers: dict[str, Any], body: type[BaseModel] | None = None) -> dict[str, Any]:
    """Describe what a path that needs a token takes and FastAPI cannot see."""
    described: dict[str, Any] = {"security": [{BEARER: []}], "parameters": list(headers)}
    if body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": f"{SCHEMAS}{body.__name__}"}}},
        }
    return described


def complete(document: dict[str, Any], bodies: Sequence[type[BaseModel]]) -> dict[str, Any]:
    """Add what operations refer to: the security scheme, and the bodies of requests."""
    components = document.setdefault("components", {})
    components["securitySchemes"] = SECURITY_SCHEMES
    _, definitions = models_json_schema(
        [(body, "validation") for body in bodies], ref_template=SCHEMAS + "{model}"
    )
    components.setdefault("schemas", {}).update(definitions.get("$defs", {}))
    return document
