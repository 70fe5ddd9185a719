"""The client's log: what it sent, what Kafka acknowledged, what it heard, and when."""

from dataclasses import dataclass, field
from typing import Final

from loadtests.chaos.workload import Asks, Message
from loadtests.day.collector import Outcome

LATE_SECONDS: Final = 1.0


@dataclass(eq=False)
class Sent:
    """One line of the client's log; times are seconds since 1970, None while it has not come."""

    message: Message
    sent_at: float
    acknowledged_at: float | None = None
    place: tuple[int, int] | None = None  # its partition and offset
    error: str | None = None


@dataclass(eq=False)
class Log:
    """All that the client knows: what it sent, what Kafka acknowledged, what it heard."""

    sent: list[Sent] = field(default_factory=list)
    first_asked_at: dict[str, float] = field(default_factory=dict)
    decided_at: dict[str, float] = field(default_factory=dict)
    heard: dict[str, list[Outcome]] = field(default_factory=dict)
    unanswered: dict[str, float] = field(default_factory=dict)  # the oldest first
    late: list[tuple[float, float]] = field(default_factory=list)  # when asked, when answered

    def note_sent(self, line: Sent) -> None:
        """Add a line."""
        self.sent.append(line)
        message, now = line.message, line.sent_at
        name = str(message.enrollment_id)
        if message.asks is Asks.SEATS and name not in self.first_asked_at:
            self.first_asked_at[name] = now
            if name not in self.decided_at:
                self.unanswered[name] = now

    def note_outcome(self, name: str, outcome: Outcome, now: float) -> None:
        """Note what was heard of an enrollment; the first decides it."""
        self.heard.setdefault(name, []).append(outcome)
        if name in self.decided_at:
            return
        self.decided_at[name] = now
        asked_at = self.unanswered.pop(name, now)
        if now - asked_at > LATE_SECONDS:
            self.late.append((asked_at, now))
