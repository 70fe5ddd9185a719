"""The stores of capacity and student: shown on the real PostgreSQL and on the simulated one."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.capacity.model import Reservation, ReservationState
from services.capacity.model import Section as Seats
from services.simulation.tests.contracts.making import (
    NOW,
    TERM,
    new_id,
    opened,
    rejected,
    section,
    validated,
)
from services.simulation.tests.contracts.making import student as published
from services.simulation.tests.contracts.postgres import Postgres, Session
from services.student.model import Claim, ClaimState, Section, Slot, Student
from shared.errors import RivalRowError
from shared.events import (
    Event,
    Hold,
    Meeting,
    SectionPublished,
    SectionState,
    SectionWithdrawn,
    StudentPublished,
    StudentWithdrawn,
    Window,
)
from shared.identifiers import CourseId, EnrollmentId, SectionId, SectionKey, StudentId, Term
from shared.reaction import Rows

CLAIM = Claim(
    enrollment_id=new_id(),
    student_id=StudentId("S1"),
    state=ClaimState.CLAIMED,
    term=TERM,
    sections=(SectionId("B"), SectionId("A")),
    decided_at=NOW,
    released_at=NOW + timedelta(microseconds=1),
    credits=6,
    credit_limit=20,
    slots=(Slot(SectionId("A"), 127, 2**60 - 1, 0, 1440), Slot(SectionId("B"), 1, 1, 5, 6)),
)
RESERVATION = Reservation(
    enrollment_id=CLAIM.enrollment_id,
    student_id=StudentId("S1"),
    state=ReservationState.RESERVED,
    is_answered=True,
    term=TERM,
    sections=(SectionId("B"), SectionId("A")),
    decided_at=NOW,
    released_at=NOW + timedelta(microseconds=1),
)
SEATS = Seats(section("A").key, 2**40, 7, SectionState.CANCELLED, reserved=8, seat_sequence=2**40)
RICH_SECTION = SectionPublished(
    version=2**40,
    term=TERM,
    section_id=SectionId("A"),
    course_id=CourseId("C1"),
    part="lab",
    capacity=7,
    credits=3,
    meetings=(Meeting(days="1010000", weeks="1" * 60, start_minute=0, end_minute=1440),),
    state=SectionState.CLOSED,
    prerequisites=((CourseId("C2"), CourseId("C3")), (CourseId("C4"),)),
    corequisites=(CourseId("C5"),),
)
RICH_STUDENT = StudentPublished(
    version=2**40,
    student_id=StudentId("S1"),
    max_credits=20,
    holds=(Hold(code="ñ"),),
    completed_courses=(CourseId("C2"),),
    windows=(Window(term=TERM, opens_at=NOW, closes_at=NOW + timedelta(days=1)),),
)


def claimed(**fields: Any) -> Claim:
    return replace(CLAIM, **({"enrollment_id": new_id(), "released_at": None} | fields))


def events_of(*claims: Claim) -> list[Event]:
    """Ask for claims by their enrollments, and for nothing else."""
    return [rejected(validated(enrollment_id=one.enrollment_id)) for one in claims]


async def put_claims(postgres: Postgres, *claims: Claim) -> None:
    session = await postgres.begin()
    await save_claims(session, *claims)
    await session.commit()


async def save_claims(session: Session, *claims: Claim) -> None:
    state = await session.load(*events_of(*claims))
    for claim in claims:
        state.put_claim(claim)
    await session.do(session.unit.save(state))


async def put_reservation(postgres: Postgres, row: Reservation) -> None:
    event = rejected(validated(enrollment_id=row.enrollment_id))
    await postgres.put(event, lambda state: state.reservations.put(row.enrollment_id, row))


def claims_in(state: Any) -> set[EnrollmentId]:
    return {one.enrollment_id for one in state.claims.all()}


def sections_in(rows: Rows[SectionKey, Any]) -> list[SectionKey]:
    return sorted(one.key if isinstance(one, Seats) else one.published.key for one in rows.all())


# Capacity


@pytest.mark.parametrize(
    "row",
    [
        RESERVATION,
        replace(RESERVATION, state=ReservationState.REFUSED, released_at=None),
        replace(RESERVATION, state=ReservationState.RELEASED, is_answered=False, term=None),
        replace(RESERVATION, state=ReservationState.RELEASED, sections=(), term=None),
    ],
)
async def test_a_reservation_is_read_as_it_was_saved(capacity: Postgres, row: Reservation) -> None:
    await put_reservation(capacity, row)

    state = await capacity.load(rejected(validated(enrollment_id=row.enrollment_id)))

    assert list(state.reservations.all()) == [row]


async def test_seats_are_read_as_they_were_saved(capacity: Postgres) -> None:
    await capacity.put(section("A"), lambda state: state.sections.put(SEATS.key, SEATS))

    state = await capacity.load(validated("A"))

    assert list(state.sections.all()) == [SEATS]


async def test_a_section_that_was_only_made_for_its_lock_is_unknown(capacity: Postgres) -> None:
    session = await capacity.begin()
    await session.load(section("A"))
    await session.commit()

    state = await capacity.load(validated("A"), section("A"))

    assert state.sections.get(section("A").key) is None
    assert sections_in(state.sections) == []


async def test_of_two_who_publish_a_new_section_the_second_waits_and_sees_the_first(
    capacity: Postgres,
) -> None:
    first, second = await capacity.begin(), await capacity.begin()
    await first.react(section("A", version=2, capacity=5))

    waiting = await second.start(second.unit.load([section("A", version=1)]))
    assert waiting.is_waiting
    await first.commit()

    [seen] = (await waiting.result()).sections.all()
    assert (seen.version, seen.capacity) == (2, 5)


async def test_what_is_saved_of_an_unknown_section_goes_nowhere(capacity: Postgres) -> None:
    await capacity.put(validated("A"), lambda state: state.sections.put(SEATS.key, SEATS))

    state = await capacity.load(validated("A"))

    assert sections_in(state.sections) == []


async def test_the_sections_of_a_reservation_come_with_it_while_it_holds_seats(
    capacity: Postgres,
) -> None:
    await capacity.take(section("A"), section("B"), section("C"))
    held = replace(RESERVATION, enrollment_id=new_id())
    await put_reservation(capacity, held)
    given_up = replace(RESERVATION, state=ReservationState.RELEASED)
    await put_reservation(capacity, given_up)

    of_held = await capacity.load(rejected(validated(enrollment_id=held.enrollment_id)))
    of_given_up = await capacity.load(rejected(validated(enrollment_id=given_up.enrollment_id)))
    of_asked = await capacity.load(validated("C", "unknown"), SectionWithdrawn(key=SEATS.key))

    assert sections_in(of_held.sections) == [section("A").key, section("B").key]
    assert sections_in(of_given_up.sections) == []
    assert sections_in(of_asked.sections) == [section("A").key, section("C").key]


# Student: its rows


@pytest.mark.parametrize(
    "row",
    [
        CLAIM,
        replace(CLAIM, state=ClaimState.REFUSED, released_at=None, slots=()),
        replace(CLAIM, state=ClaimState.RELEASED, term=None, sections=(), credits=0),
    ],
)
async def test_a_claim_is_read_as_it_was_saved(student: Postgres, row: Claim) -> None:
    await put_claims(student, row)

    state = await student.load(*events_of(row))

    assert list(state.claims.all()) == [row]


@pytest.mark.parametrize("is_withdrawn", [False, True])
async def test_entries_of_the_catalogs_are_read_as_they_were_saved(
    student: Postgres, is_withdrawn: bool
) -> None:
    session = await student.begin()
    state = await session.load(RICH_SECTION, RICH_STUDENT)
    state.sections.put(RICH_SECTION.key, Section(RICH_SECTION, is_withdrawn))
    state.students.put(RICH_STUDENT.student_id, Student(RICH_STUDENT, is_withdrawn))
    await session.do(session.unit.save(state))
    await session.commit()

    state = await student.load(
        SectionWithdrawn(key=RICH_SECTION.key), StudentWithdrawn(student_id=StudentId("S1"))
    )

    assert list(state.sections.all()) == [Section(RICH_SECTION, is_withdrawn)]
    assert list(state.students.all()) == [Student(RICH_STUDENT, is_withdrawn)]


async def test_who_asks_gets_what_her_student_holds_in_that_term(student: Postgres) -> None:
    held = claimed(sections=(SectionId("X"),))
    other_term, other_student = claimed(term=Term("U")), claimed(student_id=StudentId("S2"))
    ended = [claimed(state=state) for state in (ClaimState.REFUSED, ClaimState.RELEASED)]
    await put_claims(student, held, other_term, other_student, *ended)
    await student.take(section("X"), section("A"), section("unasked"))

    state = await student.load(opened("A", student="S1"), opened("A", student="S1"))

    assert claims_in(state) == {held.enrollment_id}
    assert sections_in(state.sections) == [section("A").key, section("X").key]


async def test_what_two_students_hold_in_two_terms_comes_together(student: Postgres) -> None:
    rows = [claimed(student_id=StudentId(name), term=Term(term)) for name in "ab" for term in "TUV"]
    await put_claims(student, *rows)

    state = await student.load(
        opened("A", student="a", term="T"), opened("A", student="b", term="U")
    )

    wanted = {one.enrollment_id for one in rows if one.term in {"T", "U"}}
    assert claims_in(state) == wanted


async def test_a_batch_sees_what_it_holds_and_has_given_back_itself(student: Postgres) -> None:
    kept, moved = claimed(), claimed()
    await put_claims(student, moved)
    session = await student.begin()
    await save_claims(session, kept, replace(moved, state=ClaimState.RELEASED))

    state = await session.load(opened("A"))

    assert claims_in(state) == {kept.enrollment_id}


# Student: rivals


async def test_of_two_who_ask_for_one_student_the_second_waits_and_sees_the_claim(
    student: Postgres,
) -> None:
    await student.take(published(), section("A"))
    first, second = await student.begin(), await student.begin()
    question = opened("A")
    await first.react(question)

    waiting = await second.start(second.unit.load([opened("A")]))
    assert waiting.is_waiting
    await first.commit()

    assert claims_in(await waiting.result()) == {question.enrollment_id}


async def test_a_claim_that_was_made_while_its_student_was_waited_for_is_a_rival(
    student: Postgres,
) -> None:
    await student.take(published(), section("A"))
    first, second = await student.begin(), await student.begin()
    question = opened("A")
    await first.react(question)

    waiting = await second.start(second.unit.load([question]))
    assert waiting.is_waiting
    await first.commit()

    with pytest.raises(RivalRowError):
        await waiting.result()


@pytest.mark.parametrize(("late", "stays"), [(4, 5), (5, 5), (6, 6)])
async def test_a_lower_version_that_comes_late_replaces_nothing(
    student: Postgres, late: int, stays: int
) -> None:
    session = await student.begin()
    stale = await session.load(section("A", version=late), published(version=late))
    await student.take(section("A", version=5), published(version=5))

    student.decide(
        stale, section("A", version=late, worth=9), published(version=late, max_credits=9)
    )
    await session.do(session.unit.save(stale))
    await session.commit()

    state = await student.load(section("A"), published())
    assert [one.published.version for one in state.sections.all()] == [stays]
    assert [one.published.version for one in state.students.all()] == [stays]
    is_late = late >= stays
    assert [one.published.credits == 9 for one in state.sections.all()] == [is_late]
    assert [one.published.max_credits == 9 for one in state.students.all()] == [is_late]


async def test_a_new_entry_waits_for_whoever_makes_the_same(student: Postgres) -> None:
    first, second = await student.begin(), await student.begin()
    await first.react(section("A", version=5))
    state = await second.load(section("A", version=6))
    student.decide(state, section("A", version=6))

    waiting = await second.start(second.unit.save(state))
    assert waiting.is_waiting
    await first.commit()
    await waiting.result()
    await second.commit()

    [kept] = (await student.load(section("A"))).sections.all()
    assert kept.published.version == 6


async def test_a_section_is_read_without_waiting_for_whoever_changes_it(
    student: Postgres,
) -> None:
    await student.take(section("A", version=1))
    writer, reader = await student.begin(), await student.begin()
    await writer.react(section("A", version=2))

    free = await reader.start(reader.unit.load([opened("A")]))

    assert not free.is_waiting
    [seen] = (await free.result()).sections.all()
    assert seen.published.version == 1
