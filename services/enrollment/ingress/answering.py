"""Answers that tell what is so now, and that nobody may keep."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel
from starlette.responses import Response

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


def answered(model: BaseModel, headers: Mapping[str, str] = NO_HEADERS) -> Response:
    """Answer with a resource."""
    return json_answer(model.model_dump_json().encode(), headers)


def json_answer(body: bytes, headers: Mapping[str, str] = NO_HEADERS) -> Response:
    """Answer with JSON that is written already."""
    return Response(body, 200, {"Cache-Control": "no-store", **headers}, "application/json")
