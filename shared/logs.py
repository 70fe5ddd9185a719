"""What every line of a log tells besides its text."""

from contextvars import ContextVar
from typing import Final

CORRELATION_ID: Final[ContextVar[str | None]] = ContextVar("correlation_id", default=None)
