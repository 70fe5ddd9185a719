"""Logs are one JSON object a line, and tell neither secrets nor what users wrote."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from shared.logs import (
    CORRELATION_ID,
    EXCEPTION_LENGTH_MAX,
    MESSAGE_LENGTH_MAX,
    JsonFormatter,
    PlainFormatter,
    exception_text,
)

ROOT = Path(__file__).parents[2]
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJTMSJ9.c2lnbmF0dXJl"
NEVER = [
    (f"the token {TOKEN} is bad", "the token [token] is bad"),
    (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer [token]"),
    ("authorization=bearer abc123, more", "authorization=Bearer [token], more"),
    (f"cut {TOKEN[:30]}", "cut [token]"),
    ("postgresql://ana:p4ss@db:5432/x fails", "postgresql://ana:***@db:5432/x fails"),
    ("redis://:p4ss@cache/0", "redis://:***@cache/0"),
]


def record_of(message: str, *values: object, error: Any = None, **extra: Any) -> logging.LogRecord:
    logger = logging.getLogger("services.example")
    exc_info = None if error is None else (type(error), error, error.__traceback__)
    return logger.makeRecord(
        logger.name, logging.WARNING, "file.py", 7, message, values, exc_info, extra=extra
    )


def line_of(record: logging.LogRecord) -> dict[str, Any]:
    text = JsonFormatter("capacity", "capacity-2").format(record)
    assert "\n" not in text
    line: dict[str, Any] = json.loads(text)
    return line


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    with pytest.raises(type(error)) as caught:
        raise error from cause
    return caught.value


def test_a_line_tells_when_where_and_what() -> None:
    record = record_of("%d of %s", 3, "them")
    record.created = 1_900_000_000.0125

    assert line_of(record) == {
        "time": "2030-03-17T17:46:40.012Z",
        "level": "WARNING",
        "logger": "services.example",
        "message": "3 of them",
        "service": "capacity",
        "instance": "capacity-2",
    }


def test_a_line_tells_of_which_request_and_enrollment_it_is() -> None:
    token = CORRELATION_ID.set("seven")
    try:
        line = line_of(record_of("x", enrollment_id="e1", duration_seconds=0.25))
    finally:
        CORRELATION_ID.reset(token)

    assert (line["correlation_id"], line["enrollment_id"]) == ("seven", "e1")
    assert line["duration_seconds"] == 0.25


def test_other_extras_stay_out() -> None:
    assert "reason" not in line_of(record_of("x", reason="because I say so"))


async def test_the_correlation_id_follows_into_tasks_and_threads() -> None:
    token = CORRELATION_ID.set("seven")
    try:
        in_task = await asyncio.create_task(asyncio.to_thread(CORRELATION_ID.get))
    finally:
        CORRELATION_ID.reset(token)

    assert in_task == "seven"


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "\x00", "\u2028", "ñ", "\ud800", '"}{'])
def test_whatever_the_text_it_stays_on_its_line(text: str) -> None:
    line = JsonFormatter("s", "1").format(record_of("%s", text))

    assert len(line.splitlines()) == 1
    assert json.loads(line)["message"] == text


@pytest.mark.parametrize(("said", "shown"), NEVER)
def test_no_token_and_no_password_gets_into_a_line(said: str, shown: str) -> None:
    assert line_of(record_of("%s", said))["message"] == shown
    assert PlainFormatter().format(record_of("%s", said)).endswith(f": {shown}")


@pytest.mark.parametrize(("said", "shown"), NEVER)
def test_no_token_and_no_password_gets_into_an_exception(said: str, shown: str) -> None:
    error = raised(RuntimeError(said))

    assert f"RuntimeError: {shown}\n" in line_of(record_of("x", error=error))["exception"]
    plain = PlainFormatter().format(record_of("x", error=error))
    assert f"RuntimeError: {shown}\n" in plain


def test_texts_are_bounded() -> None:
    error = raised(RuntimeError("x" * 10 * EXCEPTION_LENGTH_MAX))

    line = line_of(record_of("y" * 10 * MESSAGE_LENGTH_MAX, error=error))

    assert len(line["message"]) == MESSAGE_LENGTH_MAX + 1
    assert len(line["exception"]) == EXCEPTION_LENGTH_MAX + 1


def test_an_exception_tells_where_it_and_its_causes_come_from() -> None:
    text = exception_text(raised(RuntimeError("outer"), raised(ValueError("inner"))))

    outer, inner = text.split("caused by ")
    assert outer.startswith("RuntimeError: outer\n")
    assert inner.startswith("ValueError: inner\n")
    assert 'test_logs.py", line' in outer
    assert 'test_logs.py", line' in inner


def test_an_exception_that_is_its_own_cause_has_an_end() -> None:
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__cause__, second.__cause__ = second, first

    assert exception_text(first).count("caused by") == 4


def test_the_exceptions_of_several_tasks_are_all_told() -> None:
    text = exception_text(ExceptionGroup("both", [ValueError("one"), KeyError("two")]))

    assert "ValueError: one" in text
    assert "KeyError: 'two'" in text


class Reason(BaseModel):
    text: str = Field(max_length=3)


def test_what_a_user_wrote_does_not_get_into_the_log_by_pydantics_words() -> None:
    words = "my mother is ill"
    with pytest.raises(ValueError, match=words) as refused:
        Reason(text=words)  # the line of code may be shown, and has no words in it

    text = exception_text(refused.value)

    assert words not in text
    assert "text: String should have at most 3 characters" in text


def test_plain_text_is_for_people_and_keeps_foreign_lines_on_one() -> None:
    token = CORRELATION_ID.set("seven")
    try:
        text = PlainFormatter().format(record_of("a\n2031-01-01 ERROR forged"))
    finally:
        CORRELATION_ID.reset(token)

    assert text.endswith("WARNING services.example: a\\n2031-01-01 ERROR forged [seven]")


PROGRAM = """
import logging, threading, warnings
from shared import logs
logs.set_up("capacity", "1", "INFO", is_structured={structured})
logging.getLogger("x").info("hello")
logging.getLogger("x").debug("too much")
warnings.warn("watch out")
thread = threading.Thread(target=lambda: 1 / 0, name="worker")
thread.start()
thread.join()
raise RuntimeError("the end")
"""


def stderr_of(*, structured: bool) -> list[str]:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(structured=structured)],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    return ended.stderr.splitlines()


def test_all_that_a_process_says_is_json() -> None:
    lines = [json.loads(line) for line in stderr_of(structured=True)]

    said = [(line["level"], line["logger"]) for line in lines]
    assert said == [
        ("INFO", "x"),
        ("WARNING", "py.warnings"),
        ("CRITICAL", "shared.logs"),
        ("CRITICAL", "shared.logs"),
    ]
    assert lines[2]["exception"].startswith("ZeroDivisionError: ")
    assert lines[3]["exception"].startswith("RuntimeError: the end")


def test_all_that_a_process_says_is_plain_where_that_is_asked_for() -> None:
    lines = stderr_of(structured=False)

    assert lines[0].endswith("INFO x: hello")
    assert "RuntimeError: the end" in lines[-2] + lines[-1] + "\n".join(lines)
