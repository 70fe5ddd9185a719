"""The client's own log: what was answered to each request, kept apart from what came of it."""

import json
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

ACCEPTED: Final = 202
ASKS_FOR_PATIENCE: Final = frozenset({429, 503})
RETRY_SECONDS_UNSAID: Final = 1.0
RETRY_SECONDS_MAX: Final = 60.0
CONTRADICTIONS_MAX: Final = 20


class Answer(NamedTuple):
    """What came of one POST; `status` is None where the connection failed, `said` tells how."""

    status: int | None
    said: str
    enrollment_id: str | None = None
    retry_after_seconds: float | None = None

    @property
    def is_accepted(self) -> bool:
        """Tell whether the request is in the queue now, by this answer."""
        return self.enrollment_id is not None

    @property
    def asks_again(self) -> bool:
        """Tell whether the same request may be decided otherwise when it is repeated."""
        return self.status is None or self.status in ASKS_FOR_PATIENCE


def read_answer(status: int, body: bytes, retry_after: str | None) -> Answer:
    """Read an answer; a 202 that does not name its enrollment is no acceptance."""
    seconds = _seconds(retry_after)
    if status != ACCEPTED:
        return Answer(status, str(status), None, seconds)
    try:
        return Answer(status, str(status), str(json.loads(body)["enrollment_id"]))
    except (ValueError, KeyError, TypeError):
        return Answer(status, "202 that names no enrollment", None, seconds)


def _seconds(retry_after: str | None) -> float | None:
    """Read Retry-After; the form of a date is not what the ingress sends."""
    if retry_after is None or not retry_after.isdecimal():
        return None
    return min(RETRY_SECONDS_MAX, float(retry_after))


@dataclass
class AnswerLog:
    """Everything that was answered: by number of the request, counted, and timed."""

    requests: int
    accepted: dict[int, str] = field(default_factory=dict)  # the enrollment of each request
    refused: dict[int, str] = field(default_factory=dict)  # the last word on each other one
    counts: Counter[str] = field(default_factory=Counter)
    milliseconds: "array[float]" = field(default_factory=lambda: array("d"))
    without_retry_after: int = 0
    contradictions: list[str] = field(default_factory=list)
    last_at: float = 0.0  # when something was accepted: refusals alone lead nowhere

    def note(self, number: int, answer: Answer, began: float, now: float) -> None:
        """Add one answer."""
        self.counts[answer.said] += 1
        if answer.status is not None:
            self.milliseconds.append((now - began) * 1000)
        if answer.status in ASKS_FOR_PATIENCE and answer.retry_after_seconds is None:
            self.without_retry_after += 1
        if answer.enrollment_id is None:
            self.refused[number] = answer.said
        else:
            self.last_at = now
            self.refused.pop(number, None)
            self._note_accepted(number, answer.enrollment_id)

    def _note_accepted(self, number: int, enrollment_id: str) -> None:
        known = self.accepted.setdefault(number, enrollment_id)
        if known != enrollment_id and len(self.contradictions) < CONTRADICTIONS_MAX:
            self.contradictions.append(
                f"request {number} was answered with two enrollments: {known}, {enrollment_id}"
            )

    @property
    def asked(self) -> int:
        """Count the POSTs, repeats among them."""
        return self.counts.total()

    @property
    def not_accepted(self) -> int:
        """Count the requests that never got a 202, those never asked among them."""
        return self.requests - len(self.accepted)
