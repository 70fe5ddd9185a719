"""Answers that tell what is so now, and that nobody may keep."""

from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


def answered(model: BaseModel, headers: Mapping[str, str] = NO_HEADERS) -> Response:
    """Answer with a resource."""
    return json_answer(model.model_dump_json().encode(), headers)


def json_answer(
    body: bytes, headers: Mapping[str, str] = NO_HEADERS, status: int = 200
) -> Response:
    """Answer with JSON that is written already."""
    return Response(body, status, {"Cache-Control": "no-store", **headers}, "application/json")


def tagged(request: Request, body: bytes, headers: Mapping[str, str]) -> Response:
    """Answer with an ETag, or with 304 where the client has just that."""
    etag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {**headers, "ETag": etag, "Cache-Control": "private, no-cache"}
    known = [one.strip() for one in request.headers.get("if-none-match", "").split(",")]
    if etag in known or f"W/{etag}" in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, "application/json")


def link_to_next(request: Request, cursor: str | None) -> dict[str, str]:
    """Give the header that leads to the next page; none behind the last."""
    if cursor is None:
        return {}
    url = request.url.include_query_params(cursor=cursor)
    return {"Link": f'<{url.path}?{url.query}>; rel="next"'}
