"""Reads what a request carries: its body, its Idempotency-Key, what it prefers."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.resources import IDEMPOTENCY_KEY_PATTERN

ERRORS_MAX: Final = 20
KEY: Final = re.compile(IDEMPOTENCY_KEY_PATTERN)
WAIT: Final = re.compile(r"\bwait=(\d{1,4})\b")

Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, model: type[Body]) -> Body:
    """Read and validate the body; what is wrong with it is a Problem that names each field."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" or "content-encoding" in request.headers:
        raise Problem(ProblemType.UNSUPPORTED_MEDIA_TYPE)
    text = await request.body()
    try:
        body = model.model_validate_json(text)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise refused(found) from None
    json.loads(text, object_pairs_hook=_distinct)
    return body


def _distinct(members: list[tuple[str, Any]]) -> None:
    """Refuse an object that names a member twice: whoever else reads it may see the other one."""
    if len({name for name, _ in members}) < len(members):
        raise Problem(ProblemType.MALFORMED_BODY, "the body names a field twice")


def refused(found: Sequence[Mapping[str, Any]]) -> Problem:
    """Say what pydantic found: the fields, never their values, which may be personal."""
    if any(one["type"] == "json_invalid" for one in found):
        return Problem(ProblemType.MALFORMED_BODY)
    errors: list[dict[str, Any]] = [
        {"field": ".".join(str(part) for part in one["loc"]) or "body", "detail": one["msg"]}
        for one in found[:ERRORS_MAX]
    ]
    detail = "; ".join(f"{one['field']}: {one['detail']}" for one in errors)
    return Problem(ProblemType.VALIDATION_FAILED, detail, extensions={"errors": errors})


def idempotency_key(request: Request) -> str | None:
    """Read the Idempotency-Key, with or without the quotes that the draft asks for."""
    given = request.headers.getlist("idempotency-key")
    if not given:
        return None
    key = given[0][1:-1] if re.fullmatch(r'".*"', given[0]) else given[0]
    if len(given) > 1 or KEY.fullmatch(key) is None:
        raise Problem(ProblemType.KEY_INVALID)
    return key


def wait_seconds(request: Request, maximum_seconds: float) -> float:
    """Read how long a client would wait for the outcome; 0 where it would not."""
    found = WAIT.search(request.headers.get("prefer", ""))
    return min(float(found[1]), maximum_seconds) if found else 0.0


def accepts(request: Request, media_type: str) -> bool:
    """Tell whether a client takes this form of an answer; one that does not say takes any."""
    given = ",".join(request.headers.getlist("accept")) or "*/*"
    taken = {one.partition(";")[0].strip().lower() for one in given.split(",")}
    return not taken.isdisjoint({media_type, media_type.partition("/")[0] + "/*", "*/*"})
