"""Tells a history as a story: who did what, in order, and what was wrong in the end."""

from collections.abc import Callable, Iterator
from typing import Any

from services.simulation.oracle import Changes, short
from shared.choreography import Service

Tell = Callable[[int, str], None]


def tell_nobody(_at_us: int, _text: str) -> None:
    """Tell a history to nobody: most are never read."""


class Narrative:
    """Collects lines, each with its time in seconds."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def tell(self, at_us: int, text: str) -> None:
        """Add a line."""
        self._lines.append(f"{at_us / 1e6:9.4f} s  {text}")

    def text(self) -> str:
        """Give the whole story."""
        return "\n".join(self._lines)


def describe(service: Service, changes: Changes) -> Iterator[str]:
    """Say what a commit changed, as far as it is part of the story."""
    for table, rows in changes.items():
        for key, before, after in rows:
            text = _describe(table, key, before, after)
            if text:
                yield f"{service}: {text}"


def _describe(table: str, key: Any, before: Any, after: Any) -> str:
    match table:
        case "enrollment" | "claim" | "reservation":
            return f"{table} of {short(key)}: {_state(before)} -> {_state(after)}"
        case "section" if hasattr(after, "reserved"):
            return (
                f"section {key.section_id} of {key.term}: "
                f"{after.reserved} of {after.capacity} seats reserved"
            )
        case "outbox" if before is None:
            return f"says {after.event_type} of {short_subject(after.subject)}"
        case "dead_letter" if before is None:
            return f"parks a message: {after.reason}"
        case "dead_letter" if after is None:
            return "a dead letter is replayed or discarded"
        case _:
            return ""


def _state(row: Any) -> str:
    return "none" if row is None else str(row.state)


def short_subject(subject: str) -> str:
    """Name an enrollment of a history by its number, from an event's subject."""
    return f"enrollment {int(subject.replace('-', '')[:16], 16)}"
