"""Validates values by the schemas as they are committed, formats included."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from jsonschema import Draft202012Validator, FormatChecker

from schemas.files import event_path
from schemas.publishing import HERE
from shared.events import Event

FORMATS = FormatChecker(formats=())


@FORMATS.checks("date-time", raises=ValueError)
def is_date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@FORMATS.checks("uuid", raises=ValueError)
def is_uuid(value: object) -> bool:
    return not isinstance(value, str) or str(UUID(value)) == value.lower()


def committed(path: object) -> Any:
    return json.loads((HERE / str(path)).read_text(encoding="utf-8"))


def published_schema(event_type: type[Event]) -> Any:
    return committed(event_path(event_type))


def validator(schema: Any) -> Draft202012Validator:
    return Draft202012Validator(schema, format_checker=FORMATS)


def is_valid(event_type: type[Event], body: Any) -> bool:
    return validator(published_schema(event_type)).is_valid(body)
