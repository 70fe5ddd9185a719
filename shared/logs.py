"""Logs for machines: one JSON object a line, without secrets and without what users wrote."""

import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

from pydantic import ValidationError

from shared.codec import describe

LOGGER: Final = logging.getLogger(__name__)
CORRELATION_ID: Final[ContextVar[str | None]] = ContextVar("correlation_id", default=None)

EXTRAS: Final = ("enrollment_id", "method", "route", "status", "duration_seconds")
MESSAGE_LENGTH_MAX: Final = 4096
EXCEPTION_LENGTH_MAX: Final = 16 * 1024
CAUSES_MAX: Final = 5
PLAIN: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"

SECRETS: Final = (
    (re.compile(r"eyJ[\w-]*\.[\w-]*(\.[\w-]*)?"), "[token]"),
    (re.compile(r"(?i)\bbearer\s+[^\s,;\"'`]+"), "Bearer [token]"),
    (re.compile(r"(://[^\s/:@]*):[^\s/@]*@"), r"\1:***@"),
)
MARKS_OF_SECRETS: Final = ("eyJ", "earer", "EARER", "://")  # to look at few lines


def set_up(service: str, instance: str, level: str, *, is_structured: bool) -> None:
    """Have all that this process says go to standard error; does nothing where logs are set up."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter(service, instance) if is_structured else PlainFormatter())
    logging.basicConfig(level=level, handlers=[handler])
    logging.captureWarnings(capture=True)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # never shown
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON; fields that there are not are left out."""

    def __init__(self, service: str, instance: str) -> None:
        super().__init__()
        self._process = {"service": service, "instance": instance}

    def format(self, record: logging.LogRecord) -> str:
        """Write the line."""
        line: dict[str, Any] = {
            "time": _time_of(record),
            "level": record.levelname,
            "logger": record.name,
            "message": shown(record.getMessage(), MESSAGE_LENGTH_MAX),
            **self._process,
        }
        correlation_id = CORRELATION_ID.get()
        if correlation_id is not None:
            line["correlation_id"] = correlation_id
        for name in EXTRAS:
            if name in record.__dict__:
                line[name] = record.__dict__[name]
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = exception_text(record.exc_info[1])
        return json.dumps(line, default=str)


class PlainFormatter(logging.Formatter):
    """Writes for people; the same is left out, and what somebody else wrote stays on its line."""

    def __init__(self) -> None:
        super().__init__(PLAIN)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (as logging has it)
        """Write the first line."""
        record.message = shown(record.message, MESSAGE_LENGTH_MAX).replace("\n", "\\n")
        correlation_id = CORRELATION_ID.get()
        line = super().formatMessage(record)
        return line if correlation_id is None else f"{line} [{correlation_id}]"

    def formatException(self, ei: Any) -> str:  # noqa: N802  (as logging has it)
        """Write the lines of an exception."""
        return "" if ei[1] is None else exception_text(ei[1])


def _time_of(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def shown(text: str, length_max: int) -> str:
    """Give a text without tokens and passwords, and not for ever."""
    if any(mark in text for mark in MARKS_OF_SECRETS):
        for secret, instead in SECRETS:
            text = secret.sub(instead, text)
    return text if len(text) <= length_max else f"{text[:length_max]}…"


def exception_text(error: BaseException) -> str:
    """Tell where an exception and its causes come from, the last one first."""
    parts = []
    for cause in _causes(error):
        frames = "".join(traceback.format_tb(cause.__traceback__))
        parts.append(f"{type(cause).__name__}: {_words_of(cause)}\n{frames}")
    return shown("caused by ".join(parts).rstrip("\n"), EXCEPTION_LENGTH_MAX)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give the exception, what it was raised from, and what it is a group of: a few of them."""
    waiting = [error]
    for _ in range(CAUSES_MAX):
        if not waiting:
            return
        cause = waiting.pop(0)
        yield cause
        context = None if cause.__suppress_context__ else cause.__context__
        before = cause.__cause__ or context
        inside = cause.exceptions if isinstance(cause, BaseExceptionGroup) else ()
        waiting += [*inside, *([] if before is None else [before])]


def _words_of(error: BaseException) -> str:
    """What pydantic says of a bad value quotes it, and it may be a user's own words."""
    return "; ".join(describe(error)) if isinstance(error, ValidationError) else str(error)


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        LOGGER.critical("nobody caught an exception", exc_info=error)


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        name = args.thread.name if args.thread is not None else "?"
        LOGGER.critical("nobody caught an exception in %s", name, exc_info=args.exc_value)
