"""Makes the text of every file in this folder that is generated, by its path from here."""

import json
from pathlib import PurePosixPath
from typing import Any, Final

from schemas import asyncapi, picture
from schemas.event_schemas import event_schema, schema_name
from schemas.messages import binary_message, example_body, structured_message
from services.enrollment.ingress import openapi
from shared.events import EnrollmentRequested, Event

EVENTS: Final = PurePosixPath("events")
EXAMPLES: Final = PurePosixPath("examples")

CHOREOGRAPHY: Final = """# The choreography

Who writes which topic, who reads it, and what each service does on each event.

```mermaid
{picture}```

{table}"""


def generated_files() -> dict[PurePosixPath, str]:
    """Make all files."""
    request = EnrollmentRequested
    return {
        **{event_path(event): _json(event_schema(event)) for event in asyncapi.EVENTS},
        **{EXAMPLES / schema_name(event): _json(example_body(event)) for event in asyncapi.EVENTS},
        EXAMPLES / f"{request.__name__}.binary.json": _json(binary_message(request)),
        EXAMPLES / f"{request.__name__}.structured.json": _json(structured_message(request)),
        PurePosixPath("asyncapi.json"): _json(asyncapi.document()),
        PurePosixPath("openapi.json"): _json(openapi.document()),
        PurePosixPath("choreography.md"): CHOREOGRAPHY.format(
            picture=picture.mermaid(), table=picture.table()
        ),
    }


def event_path(event_type: type[Event]) -> PurePosixPath:
    """Say where the schema of an event is published."""
    return EVENTS / schema_name(event_type)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
