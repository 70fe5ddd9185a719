"""What student knows: the catalogs, and one claim for each enrollment."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from shared.events import Meeting, SectionPublished, StudentPublished
from shared.identifiers import EnrollmentId, SectionId, SectionKey, StudentId, Term
from shared.reaction import Rows


@dataclass(frozen=True, slots=True)
class Section:
    """A section as its catalog describes it; `is_withdrawn` once its entry was deleted."""

    published: SectionPublished
    is_withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Student:
    """A student as the catalog describes her; `is_withdrawn` once her entry was deleted."""

    published: StudentPublished
    is_withdrawn: bool = False


class Slot(NamedTuple):
    """A time that a section takes; the bits of `days` and `weeks` count from the first."""

    section_id: SectionId
    days: int
    weeks: int
    start_minute: int
    end_minute: int

    def clashes_with(self, other: "Slot") -> bool:
        """Tell whether the two share a minute; one may begin when the other ends."""
        return (
            self.start_minute < other.end_minute
            and other.start_minute < self.end_minute
            and self.days & other.days != 0
            and self.weeks & other.weeks != 0
        )


def slots_of(section_id: SectionId, meetings: Iterable[Meeting]) -> tuple[Slot, ...]:
    """Turn meetings into slots; bit strings of unequal length line up at their beginning."""
    return tuple(
        Slot(section_id, _bits(m.days), _bits(m.weeks), m.start_minute, m.end_minute)
        for m in meetings
    )


def _bits(text: str) -> int:
    return int(text[::-1], 2)


class ClaimState(StrEnum):
    """What became of an enrollment's claim here."""

    CLAIMED = "claimed"
    REFUSED = "refused"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Claim:
    """What student remembers of an enrollment, for as long as its term lasts.

    `credits`, `slots` and `credit_limit` are as of the decision: they are what is given back and
    what the audit judges by, whatever the catalogs say later.
    """

    enrollment_id: EnrollmentId
    student_id: StudentId
    state: ClaimState
    term: Term | None
    sections: tuple[SectionId, ...]
    decided_at: datetime
    released_at: datetime | None = None
    credits: int = 0
    credit_limit: int = 0
    slots: tuple[Slot, ...] = ()


class State:
    """The rows that a batch works on."""

    def __init__(
        self,
        *,
        claims: Mapping[EnrollmentId, Claim],
        students: Mapping[StudentId, Student],
        sections: Mapping[SectionKey, Section],
    ) -> None:
        self.claims: Rows[EnrollmentId, Claim] = Rows(claims)
        self.students: Rows[StudentId, Student] = Rows(students)
        self.sections: Rows[SectionKey, Section] = Rows(sections)
        self._held: dict[tuple[StudentId, Term], dict[EnrollmentId, Claim]] = defaultdict(dict)
        for claim in claims.values():
            self._index(claim)

    def held_claims(self, student_id: StudentId, term: Term) -> list[Claim]:
        """Give the claims that hold credits and slots of a student in a term."""
        return list(self._held[student_id, term].values())

    def put_claim(self, claim: Claim) -> None:
        """Keep a claim, and whether it holds anything from now on."""
        self.claims.put(claim.enrollment_id, claim)
        self._index(claim)

    def _index(self, claim: Claim) -> None:
        if claim.term is None:
            return
        held = self._held[claim.student_id, claim.term]
        if claim.state is ClaimState.CLAIMED:
            held[claim.enrollment_id] = claim
        else:
            held.pop(claim.enrollment_id, None)
