"""Student's store on the simulated database."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.simulation.stores import enrollment_rows
from services.simulation.transaction import MemoryTransaction
from services.student.model import Claim, ClaimState, State
from shared.enrollment_rows import MADE_MEANWHILE
from shared.errors import RivalRowError
from shared.events import (
    EnrollmentOpened,
    Event,
    SectionPublished,
    SectionWithdrawn,
    StudentPublished,
    StudentWithdrawn,
)
from shared.identifiers import SectionKey, StudentId, Term
from shared.reaction import enrollments_of, only


def index(row: Claim) -> tuple[StudentId, Term | None] | None:
    """Find what a student holds in a term quickly."""
    return (row.student_id, row.term) if row.state is ClaimState.CLAIMED else None


async def load(transaction: MemoryTransaction, events: Sequence[Event]) -> State:
    """Lock, in this order and each sorted, the claims and the students; then read the rest."""
    enrollments = enrollments_of(events)
    claims = await enrollment_rows.lock(transaction, "claim", enrollments)
    opened = only(events, EnrollmentOpened)
    asking = {event.student_id for event in opened}
    published = {event.student_id for event in only(events, StudentPublished)}
    published |= {event.student_id for event in only(events, StudentWithdrawn)}
    wanted = sorted(asking | published)
    students = await transaction.lock("student", wanted) if wanted else {}
    terms = sorted({event.term for event in opened})
    held = await _held(transaction, sorted(asking), terms)
    if held.keys() & (enrollments - claims.keys()):
        raise RivalRowError(MADE_MEANWHILE)
    claims |= held
    keys = {SectionKey(event.term, s) for event in opened for s in event.sections}
    keys |= {SectionKey(c.term, s) for c in held.values() if c.term for s in c.sections}
    keys |= {event.key for event in only(events, SectionPublished)}
    keys |= {event.key for event in only(events, SectionWithdrawn)}
    sections = await transaction.read_some("section", sorted(keys)) if keys else {}
    return State(claims=claims, students=students, sections=sections)


async def _held(
    transaction: MemoryTransaction, student_ids: Sequence[StudentId], terms: Sequence[Term]
) -> dict[Any, Claim]:
    if not student_ids:
        return {}
    wheres = [(student_id, term) for student_id in student_ids for term in terms]
    return await transaction.read_indexed("claim", wheres)


async def save(transaction: MemoryTransaction, state: State) -> None:
    """Write what the batch changed."""
    await enrollment_rows.save(transaction, "claim", state.claims)
    students = sorted(state.students.changed(), key=lambda one: one.published.student_id)
    await _save_newer(transaction, "student", {s.published.student_id: s for s in students})
    sections = sorted(state.sections.changed(), key=lambda one: one.published.key)
    await _save_newer(transaction, "section", {s.published.key: s for s in sections})


async def _save_newer(transaction: MemoryTransaction, table: str, rows: Mapping[Any, Any]) -> None:
    """Put entries of a catalog in place of those of no higher version."""
    if not rows:
        return
    await transaction.write_where(
        table, rows, lambda there, new: there.published.version <= new.published.version
    )
