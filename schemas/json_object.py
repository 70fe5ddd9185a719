"""Names what a JSON Schema, or any JSON object, is in Python."""

from typing import Any

JsonObject = dict[str, Any]
