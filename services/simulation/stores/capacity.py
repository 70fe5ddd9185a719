"""Capacity's store on the simulated database."""

from collections.abc import Sequence

from services.capacity.model import ReservationState, Section, State
from services.simulation.stores import enrollment_rows
from services.simulation.transaction import MemoryTransaction
from shared.events import Event, SectionPublished, SectionState, SectionWithdrawn, StudentValidated
from shared.identifiers import SectionKey
from shared.reaction import Rows, enrollments_of, only

UNPUBLISHED = -1  # the version of a row that was made for its lock


async def load(transaction: MemoryTransaction, events: Sequence[Event]) -> State:
    """Lock, in this order and each sorted, the reservations and the sections of these events."""
    reservations = await enrollment_rows.lock(transaction, "reservation", enrollments_of(events))
    keys = {
        SectionKey(event.term, section_id)
        for event in only(events, StudentValidated)
        for section_id in event.sections
    }
    keys |= {event.key for event in only(events, SectionPublished)}
    keys |= {event.key for event in only(events, SectionWithdrawn)}
    for reservation in reservations.values():
        if reservation.state is ReservationState.RESERVED and reservation.term is not None:
            keys |= {SectionKey(reservation.term, s) for s in reservation.sections}
    published = sorted({event.key for event in only(events, SectionPublished)})
    if published:
        await transaction.insert("section", {key: _unpublished(key) for key in published})
    found = await transaction.lock("section", sorted(keys)) if keys else {}
    sections = {key: row for key, row in found.items() if row.version != UNPUBLISHED}
    return State(Rows(reservations), Rows(sections))


def _unpublished(key: SectionKey) -> Section:
    return Section(key, UNPUBLISHED, 0, SectionState.CLOSED)


async def save(transaction: MemoryTransaction, state: State) -> None:
    """Write what the batch changed."""
    await enrollment_rows.save(transaction, "reservation", state.reservations)
    changed = {section.key: section for section in state.sections.changed()}
    if changed:
        await transaction.write("section", changed)
