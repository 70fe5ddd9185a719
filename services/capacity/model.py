"""What capacity knows: sections with their seats, and one reservation for each enrollment."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.events import SeatCount, SectionState
from shared.identifiers import EnrollmentId, SectionId, SectionKey, StudentId, Term
from shared.reaction import Rows


@dataclass(frozen=True, slots=True)
class Section:
    """A section's seats. `reserved` may exceed `capacity` after the registrar lowered it."""

    key: SectionKey
    version: int
    capacity: int
    state: SectionState
    reserved: int = 0
    seat_sequence: int = 0  # counts the changes of `reserved`

    @property
    def free(self) -> int:
        """Count the free seats: computed, never stored."""
        return max(0, self.capacity - self.reserved)

    def count(self) -> SeatCount:
        """Give the ledger's entry as of now."""
        return SeatCount(
            section_id=self.key.section_id,
            seat_sequence=self.seat_sequence,
            reserved=self.reserved,
            capacity=self.capacity,
            version=self.version,
        )


class ReservationState(StrEnum):
    """What became of an enrollment's seats here."""

    RESERVED = "reserved"
    REFUSED = "refused"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Reservation:
    """What capacity remembers of an enrollment, for as long as its term lasts.

    `is_answered` is false only where the release came before the question.
    """

    enrollment_id: EnrollmentId
    student_id: StudentId
    state: ReservationState
    is_answered: bool
    term: Term | None
    sections: tuple[SectionId, ...]
    decided_at: datetime
    released_at: datetime | None = None


@dataclass(slots=True)
class State:
    """The rows that a batch works on."""

    reservations: Rows[EnrollmentId, Reservation]
    sections: Rows[SectionKey, Section]
