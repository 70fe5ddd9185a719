"""What an audit says: violations, what still moves, what was counted."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any


class Invariant(Enum):
    """The invariants of the design, by number and name."""

    SEATS = (1, "seats are counted and never oversold")
    ALL_OR_NOTHING = (2, "seats in all sections or in none")
    ONE_OUTCOME = (3, "every request reaches exactly one outcome")
    CLAIMS = (4, "no student claims more than she may")
    REPEATS = (5, "a repeat changes nothing")
    DELIVERY = (6, "every event is delivered, in order")
    AT_REST = (7, "nothing is left over at rest")
    ONE_EVENT = (8, "every change has exactly one event or record")

    @property
    def number(self) -> int:
        """Give the number that the design has for it."""
        return self.value[0]

    @property
    def title(self) -> str:
        """Say it in a few words."""
        return self.value[1]


class Awaited(Enum):
    """What is missing at rest, and may only be late in a history that ends in motion."""

    OUTCOME = "outcomes"
    ANSWER = "answers of student and capacity"
    CANCEL = "cancels to be obeyed"
    CLAIM_RELEASE = "claims to be given back"
    SEAT_RELEASE = "seats to be given back"
    CAUSE = "events whose cause is not in the topics yet"
    LEDGER_ENTRY = "sections with a missing ledger entry"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise: whose, and both numbers; `awaited` where something is only missing."""

    invariant: Invariant
    subject: str
    text: str
    awaited: Awaited | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"invariant {self.invariant.number}: {self.subject}: {self.text}"


def none_in(sagas: int) -> str:
    """Say what it shows that so many sagas, at least one, broke no promise.

    The rule of three (Hanley and Lippman-Hand, 1983): never that there is no error at all.
    """
    return f"0 violations in {sagas:,} sagas, rate < {3 / sagas:.1e} at 95 %"


@dataclass(frozen=True)
class Report:
    """The outcome of an audit; it judged nothing where something still moved.

    `still_open` counts what a dump that was taken in motion does not have yet.
    """

    violations: tuple[Violation, ...] = ()
    still_open: Mapping[str, int] = field(default_factory=dict)
    still_moving: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    enrollments_by_state: Mapping[str, int] = field(default_factory=dict)
    sections: int = 0
    seats_reserved: int = 0
    events_by_topic: Mapping[str, int] = field(default_factory=dict)
    excused_enrollments: int = 0

    @property
    def exit_code(self) -> int:
        """0: all promises kept; 1: some broken; 2: not at rest, nothing judged."""
        if self.still_moving:
            return 2
        return 1 if self.violations else 0

    def as_json(self) -> dict[str, Any]:
        """Give it as plain data."""
        violations = [
            {
                "invariant": one.invariant.number,
                "name": one.invariant.title,
                "subject": one.subject,
                "text": one.text,
            }
            for one in self.violations
        ]
        return {**asdict(self), "violations": violations}
