"""What the three databases hold, as plain rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from loadtests.auditor.catalogs import SectionKey, Slot
from loadtests.auditor.contract import INGRESS


class EnrollmentRow(NamedTuple):
    """A row of enrollment's table; ids are text."""

    enrollment_id: str
    state: str
    student_id: str
    term: str | None
    sections: tuple[str, ...]
    deadline_at: datetime | None
    decided_at: datetime | None
    stage: str | None
    cancelled_by: tuple[str, ...]


class ClaimRow(NamedTuple):
    """A row of student's table."""

    enrollment_id: str
    state: str
    student_id: str
    term: str | None
    sections: tuple[str, ...]
    credits: int
    credit_limit: int
    slots: tuple[Slot, ...]
    decided_at: datetime | None


class ReservationRow(NamedTuple):
    """A row of capacity's table."""

    enrollment_id: str
    state: str
    student_id: str
    term: str | None
    sections: tuple[str, ...]
    is_answered: bool


class SectionRow(NamedTuple):
    """A section's seats."""

    reserved: int
    seat_sequence: int


class Conflict(NamedTuple):
    """A message that contradicted what was known."""

    enrollment_id: str
    student_id: str
    kind: str


class DeadLetter(NamedTuple):
    """A parked message."""

    service: str
    topic: str
    place: str
    enrollment_id: str | None
    reason: str
    holds: bool


class AuditRecord(NamedTuple):
    """An operator's action."""

    id: int
    recorded_at: datetime
    operator: str
    action: str
    subject: str
    detail: str
    previous_hash: bytes
    hash: bytes


@dataclass(frozen=True)
class Excuses:
    """The enrollments with a parked event, and the events (id, type) that operators gave up."""

    parked: frozenset[str] = frozenset()
    discarded: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Tables:
    """One snapshot of each database."""

    enrollments: Mapping[str, EnrollmentRow] = field(default_factory=dict)
    claims: Mapping[str, ClaimRow] = field(default_factory=dict)
    reservations: Mapping[str, ReservationRow] = field(default_factory=dict)
    sections: Mapping[SectionKey, SectionRow] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    trails: Mapping[str, tuple[AuditRecord, ...]] = field(default_factory=dict)

    @property
    def parked(self) -> frozenset[str]:
        """Name the enrollments that wait for an operator."""
        letters = (letter for letter in self.dead_letters if letter.holds)
        return frozenset(one.enrollment_id for one in letters if one.enrollment_id)

    @property
    def excuses(self) -> Excuses:
        """Tell what dead letters keep from its end."""
        return Excuses(self.parked, frozenset(self._discarded()))

    def _discarded(self) -> Iterator[tuple[str, str]]:
        trails = (trail for service, trail in self.trails.items() if service != INGRESS)
        for record in (record for trail in trails for record in trail):
            words = record.detail.split()
            if record.action == "dead_letter.discard" and len(words) > 1:
                yield words[1], words[0]
