"""Answers of the server itself: most who are sent away get the same, but for the correlation id."""

from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from services.enrollment.ingress.correlation import HEADER
from services.enrollment.ingress.problems import PROBLEM_MEDIA_TYPE, Problem
from shared.logs import CORRELATION_ID

Headers = list[tuple[bytes, bytes]]

PLACE: Final = "6f1d0b1a-of-the-correlation-id-0c9e27d45b83"  # in no text of ours
CLOSE: Final = b"connection: close\r\n"


class Refusal:
    """The answer to a problem, all but its correlation id."""

    def __init__(self, problem: Problem, default_headers: Headers) -> None:
        self._problem = problem
        self._default_headers = default_headers
        self._body_begin, self._body_end = _body_around_place(problem)
        lines = [b"%s: %s\r\n" % one for one in default_headers]
        lines.append(f"content-type: {PROBLEM_MEDIA_TYPE}\r\n".encode())
        self._head_begin = b"".join([STATUS_LINE[problem.kind.status], *lines])
        fields = problem.headers().items()
        self._head_end = "".join(f"{name}: {value}\r\n" for name, value in fields).encode()

    def is_of(self, problem: Problem, default_headers: Headers) -> bool:
        """Tell whether it was made of these very objects, which are never changed."""
        return self._problem is problem and self._default_headers is default_headers

    def answer(self, correlation_id: str, *, is_kept: bool) -> tuple[bytes, bytes]:
        """Give the head and the body of an answer to one request."""
        tag = correlation_id.encode()
        body = b"".join((self._body_begin, tag, self._body_end))
        sized = b"content-length: %d\r\n%b: %b\r\n" % (len(body), HEADER.encode(), tag)
        close = b"" if is_kept else CLOSE
        return b"".join((self._head_begin, sized, self._head_end, close, b"\r\n")), body


class Refusals:
    """Keeps the last refusal as long as problem and server's headers (the Date) are the same."""

    def __init__(self) -> None:
        self._last: Refusal | None = None

    def of(self, problem: Problem, default_headers: Headers) -> Refusal:
        """Give what was made before, or make it."""
        last = self._last
        if last is None or not last.is_of(problem, default_headers):
            last = self._last = Refusal(problem, default_headers)
        return last


def _body_around_place(problem: Problem) -> tuple[bytes, bytes]:
    token = CORRELATION_ID.set(PLACE)
    try:
        begin, end = problem.body().split(PLACE.encode())
    finally:
        CORRELATION_ID.reset(token)
    return begin, end
