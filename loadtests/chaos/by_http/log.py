"""The log of the ingress's clients: each try, what was answered, and when."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from loadtests.chaos.by_http.asks import Act, Ask

ASKS_FOR_PATIENCE: Final = frozenset({429, 503})
REFUSED: Final = 400
SERVER_ERROR: Final = 500


@dataclass(frozen=True)
class Answer:
    """What came of one try; `status` is None where no answer came, and `said` tells how."""

    status: int | None
    said: str
    body: bytes = b""
    location: str | None = None
    retry_after: str | None = None
    is_replay: bool = False

    @property
    def is_available(self) -> bool:
        """Tell whether it is neither lost nor a server's error."""
        return self.status is not None and self.status < SERVER_ERROR

    @property
    def asks_again(self) -> bool:
        """Tell whether the same may be answered otherwise when it is repeated."""
        return self.status is None or self.status in ASKS_FOR_PATIENCE

    @property
    def enrollment_id(self) -> str | None:
        """Read which enrollment it names, if it names one."""
        try:
            return str(json.loads(self.body)["enrollment_id"])
        except (ValueError, KeyError, TypeError):
            return None


def said_by(status: int, body: bytes) -> str:
    """Name an answer by its status, and by its problem where it has one."""
    if status < REFUSED:
        return str(status)
    try:
        return f"{status} {json.loads(body)['type'].removeprefix('/problems/')}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{status} without a problem"


@dataclass(frozen=True)
class Try:
    """One line of the log: the ask, which try of it, and what came of that."""

    number: int  # of the ask in the plan
    ask: Ask
    attempt: int
    url: str
    sent_at: float
    ended_at: float
    answer: Answer

    @property
    def has_hung_up(self) -> bool:
        """Tell whether it is the client who did not wait for the answer."""
        is_first = self.attempt == 0 and self.ask.hangs_up_after is not None
        return is_first and self.answer.status is None

    @property
    def is_accepted(self) -> bool:
        """Tell whether what it asks for is in the queue, by its answer."""
        return self.answer.status == 202


@dataclass
class HttpLog:
    """All that the clients know."""

    asks: int
    tries: list[Try] = field(default_factory=list)

    def last_tries(self) -> dict[int, Try]:
        """Give the last try of each ask."""
        return {one.number: one for one in self.tries}

    def accepted(self, act: Act) -> Iterator[Try]:
        """Give the tries of one kind that were accepted."""
        return (one for one in self.tries if one.ask.act is act and one.is_accepted)

    def unanswered(self) -> list[int]:
        """Number the asks that never came to an answer that lasts."""
        last = self.last_tries()
        return [n for n in range(self.asks) if n not in last or last[n].answer.asks_again]


def http_file(state_dir: Path) -> Path:
    """Where the log of the last run is."""
    return state_dir / "http.jsonl"


def write_http_log(state_dir: Path, log: HttpLog) -> None:
    """Write every try on a line of its own."""
    with http_file(state_dir).open("w") as file:
        for one in log.tries:
            file.write(f"{json.dumps(_entry(one))}\n")


def _entry(one: Try) -> Mapping[str, Any]:
    ask, answer = one.ask, one.answer
    return {
        "ask": one.number,
        "attempt": one.attempt,
        "act": ask.act,
        "request": ask.request,
        "student_id": ask.student_id,
        "sections": ask.sections,
        "key": ask.key,
        "url": one.url,
        "sent_at": one.sent_at,
        "ended_at": one.ended_at,
        "said": answer.said,
        "enrollment_id": answer.enrollment_id,
        "is_replay": answer.is_replay,
    }
