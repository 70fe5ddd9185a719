"""The store of capacity, on a real database."""

from datetime import UTC, datetime
from uuid import uuid4

from services.capacity import store
from services.capacity.model import Reservation, ReservationState
from shared.database import Database
from shared.events import StudentValidated
from shared.identifiers import EnrollmentId, SectionId, StudentId, Term


async def test_a_saved_reservation_is_loaded_as_it_was(capacity_database: Database) -> None:
    event = StudentValidated(
        enrollment_id=EnrollmentId(uuid4()),
        student_id=StudentId("S1"),
        term=Term("T"),
        sections=(SectionId("A"), SectionId("B")),
        credits=6,
    )
    reservation = Reservation(
        enrollment_id=event.enrollment_id,
        student_id=event.student_id,
        state=ReservationState.REFUSED,
        is_answered=True,
        term=event.term,
        sections=event.sections,
        decided_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    async with capacity_database.transaction() as transaction:
        state = await store.load(transaction, [event])
        state.reservations.put(event.enrollment_id, reservation)
        await store.save(transaction, state)

    async with capacity_database.transaction() as transaction:
        loaded = await store.load(transaction, [event])

    assert loaded.reservations.get(event.enrollment_id) == reservation
