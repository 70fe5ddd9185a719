"""What was asked when, and what was answered: a line for each request, by its number."""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

ACCEPTED: Final = 202
REFUSALS: Final = frozenset({429, 503})
LOST: Final = 0  # the status of what has no answer


@dataclass
class Ledger:
    """Times are of one clock; a request is due when the schedule says, however late it is sent."""

    due_at: "array[float]" = field(default_factory=lambda: array("d"))
    answered_at: "array[float]" = field(default_factory=lambda: array("d"))
    statuses: "array[int]" = field(default_factory=lambda: array("H"))
    problems: Counter[str] = field(default_factory=Counter)  # why they were refused
    without_retry_after: int = 0
    late_seconds_max: float = 0.0

    def sent(self, due_at: float, now: float) -> int:
        """Begin a line, and give its number."""
        self.due_at.append(due_at)
        self.answered_at.append(0.0)
        self.statuses.append(LOST)
        self.late_seconds_max = max(self.late_seconds_max, now - due_at)
        return len(self.due_at) - 1

    def answered(self, number: int, status: int, now: float) -> None:
        """End a line."""
        self.statuses[number] = status
        self.answered_at[number] = now

    def refused(self, problem: str, *, says_when: bool) -> None:
        """Count a refusal, and whether it says when to come again."""
        self.problems[problem] += 1
        self.without_retry_after += not says_when

    def counts(self, numbers: range) -> Counter[int]:
        """Count the answers to some requests by status."""
        return Counter(self.statuses[numbers.start : numbers.stop])

    def answer_seconds(self, numbers: range) -> list[float]:
        """Give how long each accepted one waited for its answer, sorted."""
        return self.seconds_until(self.answered_at, numbers)

    def seconds_until(self, moments: Sequence[float], numbers: range) -> list[float]:
        """Give how long each accepted one waited for its moment, where that has come; sorted."""
        return sorted(
            moments[n] - self.due_at[n]
            for n in numbers
            if self.statuses[n] == ACCEPTED and moments[n]
        )
