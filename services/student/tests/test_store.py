"""The store of student, on a real database."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from services.student import store
from services.student.handlers import REACTIONS
from services.student.model import Claim, ClaimState, Section, Slot, State, Student
from shared.database import Database, Transaction
from shared.errors import RivalRowError
from shared.events import (
    EnrollmentEvent,
    EnrollmentOpened,
    EnrollmentRejected,
    Event,
    Hold,
    Meeting,
    SectionPublished,
    SectionWithdrawn,
    Stage,
    StudentPublished,
    StudentWithdrawn,
    Window,
)
from shared.identifiers import CourseId, EnrollmentId, SectionId, SectionKey, StudentId, Term
from shared.reaction import Context
from shared.tests.machinery import (
    again_if_rivalled,
    meet_in_the_middle,
    rows_of,
    schema_differences,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TERM = Term("T")
STUDENT = StudentPublished(
    version=1,
    student_id=StudentId("S1"),
    max_credits=6,
    holds=(Hold(code="debt"),),
    completed_courses=(CourseId("C0"),),
    windows=(Window(term=TERM, opens_at=NOW, closes_at=NOW),),
)
SECTION = SectionPublished(
    version=2**63 - 1,
    term=TERM,
    section_id=SectionId("A"),
    course_id=CourseId("C"),
    part="lab",
    capacity=10,
    credits=3,
    meetings=(Meeting(days="1010000", weeks="11", start_minute=600, end_minute=660),),
    prerequisites=((CourseId("C1"), CourseId("C2")),),
)


def opened(
    *sections: str, student: str = "S1", enrollment_id: EnrollmentId | None = None
) -> EnrollmentOpened:
    return EnrollmentOpened(
        enrollment_id=enrollment_id or EnrollmentId(uuid4()),
        student_id=StudentId(student),
        term=TERM,
        sections=tuple(SectionId(section) for section in sections),
        deadline_at=NOW,
    )


def rejected(of: EnrollmentEvent) -> EnrollmentRejected:
    return EnrollmentRejected(
        enrollment_id=of.enrollment_id, student_id=of.student_id, stage=Stage.DEADLINE, reasons=()
    )


def section(name: str) -> SectionPublished:
    plain = {"meetings": (), "part": None, "prerequisites": ()}
    return SECTION.model_copy(update={"section_id": SectionId(name), **plain})


def student(name: str, max_credits: int = 6) -> StudentPublished:
    return StudentPublished(version=1, student_id=StudentId(name), max_credits=max_credits)


def claim_of(event: EnrollmentEvent, state: ClaimState) -> Claim:
    return Claim(
        enrollment_id=event.enrollment_id,
        student_id=event.student_id,
        state=state,
        term=TERM,
        sections=(SectionId("A"), SectionId("B")),
        decided_at=NOW,
        credits=6,
        credit_limit=18,
        slots=(Slot(SectionId("A"), 5, 2**59 + 1, 600, 660), Slot(SectionId("B"), 2, 1, 0, 1)),
    )


async def react(transaction: Transaction, events: Sequence[Event]) -> None:
    """Do what a batch of these events does."""
    state = await store.load(transaction, events)
    for event in events:
        REACTIONS[type(event)](state, event, Context(NOW, None))
    await store.save(transaction, state)


async def take(database: Database, *events: Event) -> None:
    async def once() -> None:
        async with database.transaction() as transaction:
            await react(transaction, events)

    await again_if_rivalled(once)


async def load(database: Database, *events: Event) -> State:
    async with database.transaction() as transaction:
        return await store.load(transaction, events)


async def put(database: Database, event: EnrollmentEvent, claim: Claim) -> None:
    async with database.transaction() as transaction:
        state = await store.load(transaction, [event])
        state.put_claim(claim)
        await store.save(transaction, state)


async def find(database: Database, event: EnrollmentEvent) -> Claim | None:
    async with database.transaction() as transaction:
        return await store.find_claim(transaction, event.enrollment_id)


@pytest.mark.parametrize("claim_state", list(ClaimState))
async def test_a_saved_claim_is_loaded_as_it_was(
    student_database: Database, claim_state: ClaimState
) -> None:
    event = opened("A")
    claim = claim_of(event, claim_state)

    await put(student_database, event, claim)

    assert (await load(student_database, event)).claims.get(event.enrollment_id) == claim
    assert await find(student_database, event) == claim


async def test_a_mark_without_term_and_sections_is_loaded_as_it_was(
    student_database: Database,
) -> None:
    event = rejected(opened())

    await take(student_database, event)

    mark = await find(student_database, event)
    assert mark is not None
    assert (mark.state, mark.term, mark.sections, mark.slots) == (ClaimState.RELEASED, None, (), ())


async def test_saved_catalog_entries_are_loaded_as_they_were(student_database: Database) -> None:
    await take(student_database, STUDENT, SECTION)

    state = await load(student_database, opened("A", "unknown"))

    assert state.students.get(STUDENT.student_id) == Student(STUDENT)
    assert state.sections.get(SECTION.key) == Section(SECTION)
    assert state.sections.get(SectionKey(TERM, SectionId("unknown"))) is None


async def test_entries_that_were_withdrawn_are_kept_and_known_to_be_withdrawn(
    student_database: Database,
) -> None:
    await take(student_database, STUDENT, SECTION)

    await take(
        student_database,
        StudentWithdrawn(student_id=STUDENT.student_id),
        SectionWithdrawn(key=SECTION.key),
    )

    state = await load(student_database, opened("A"))
    assert state.students.get(STUDENT.student_id) == Student(STUDENT, is_withdrawn=True)
    assert state.sections.get(SECTION.key) == Section(SECTION, is_withdrawn=True)


async def test_a_newer_entry_is_not_hidden_by_one_that_was_read_before(
    student_database: Database,
) -> None:
    older = SECTION.model_copy(update={"version": 1})
    newer = SECTION.model_copy(update={"version": 2, "credits": 5})
    await take(student_database, older)
    await load(student_database, opened("A"))

    await take(student_database, newer)

    state = await load(student_database, opened("A"))
    assert state.sections.get(SECTION.key) == Section(newer)


@pytest.mark.parametrize("newer", [SECTION, STUDENT])
async def test_of_two_entries_that_come_at_once_the_newer_stays(
    student_database: Database, newer: SectionPublished | StudentPublished
) -> None:
    older = newer.model_copy(update={"version": newer.version - 1})

    async with student_database.transaction() as transaction:
        state = await store.load(transaction, [older])
        await take(student_database, newer)
        REACTIONS[type(older)](state, older, Context(NOW, None))
        await store.save(transaction, state)

    state = await load(student_database, newer)
    rows: list[Section | Student] = [*state.sections.all(), *state.students.all()]
    assert [row.published for row in rows] == [newer]


async def test_what_a_rival_decides_meanwhile_is_not_overwritten(
    student_database: Database,
) -> None:
    await take(student_database, student("S1"), section("A"))
    request = opened("A")

    async with student_database.transaction() as transaction:
        state = await store.load(transaction, [request])
        await take(student_database, rejected(request))
        REACTIONS[type(request)](state, request, Context(NOW, None))
        with pytest.raises(RivalRowError):
            await store.save(transaction, state)

    claim = await find(student_database, request)
    assert claim is not None
    assert claim.state is ClaimState.RELEASED


async def test_a_claim_that_appears_while_the_student_is_waited_for_is_not_taken_as_known(
    student_database: Database,
) -> None:
    await take(student_database, student("S1"), section("A"))
    missing = opened("A")

    async with student_database.transaction() as rival:
        await react(rival, [missing])
        batch = [rejected(missing), opened("A")]
        waiting = asyncio.create_task(load(student_database, *batch))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done, "the batch did not wait for the student"

    with pytest.raises(RivalRowError):
        await asyncio.wait_for(waiting, 10)


async def test_what_a_student_holds_is_loaded_with_her_next_request(
    student_database: Database,
) -> None:
    held, released, of_another = opened("A"), opened("A"), opened("A", student="S2")
    for event, claim_state in (
        (held, ClaimState.CLAIMED),
        (released, ClaimState.RELEASED),
        (of_another, ClaimState.CLAIMED),
    ):
        await put(student_database, event, claim_of(event, claim_state))

    state = await load(student_database, opened("B"))

    assert [claim.enrollment_id for claim in state.held_claims(StudentId("S1"), TERM)] == [
        held.enrollment_id
    ]


async def test_batches_that_meet_in_the_middle_of_the_same_rows_do_not_deadlock(
    student_database: Database,
) -> None:
    students = [f"{number:02}" for number in range(21)]
    await take(student_database, section("A"), *map(student, students))
    same = sorted(
        (opened("A", student=name) for name in students), key=lambda event: event.enrollment_id
    )

    async def hold_student(holder: Transaction) -> None:
        await holder.fetch("SELECT FROM student WHERE student_id = '10' FOR UPDATE")

    await meet_in_the_middle(
        student_database,
        lambda holder: react(holder, [same[10]]),
        lambda: take(student_database, *same),
        lambda: take(student_database, *reversed(same)),
    )
    await meet_in_the_middle(
        student_database,
        hold_student,
        lambda: take(student_database, *(opened("B", student=name) for name in students)),
        lambda: take(student_database, *(opened("B", student=name) for name in students[::-1])),
    )

    rows = await rows_of(student_database, "SELECT state, count(*) FROM claim GROUP BY state")
    assert set(rows) == {("claimed", 21), ("refused", 42)}


async def test_overlapping_batches_in_opposite_orders_do_not_deadlock(
    student_database: Database,
) -> None:
    students = [f"{number:03}" for number in range(50)]
    names = [f"{number:03}" for number in range(20)]
    catalog: list[Event] = [*map(student, students), *map(section, names)]
    await take(student_database, *catalog)
    events: list[Event] = [
        opened(names[n % 20], student=students[n % 50], enrollment_id=EnrollmentId(uuid4()))
        for n in range(200)
    ]
    events += catalog

    for _ in range(5):
        async with asyncio.timeout(20):
            await asyncio.gather(
                take(student_database, *events), take(student_database, *reversed(events))
            )

    rows = await rows_of(student_database, "SELECT count(*) FROM claim")
    assert rows == [(200,)]


async def test_a_batch_knows_the_courses_of_what_the_student_holds(
    student_database: Database,
) -> None:
    theory = section("theory").model_copy(update={"course_id": CourseId("theory")})
    lab = section("lab").model_copy(update={"corequisites": (CourseId("theory"),)})
    await take(student_database, student("S1"), theory, lab)
    await take(student_database, opened("theory"))

    request = opened("lab")
    await take(student_database, request)

    claim = await find(student_database, request)
    assert claim is not None
    assert claim.state is ClaimState.CLAIMED


async def test_two_requests_of_a_student_at_once_do_not_both_pass_her_limit(
    student_database: Database,
) -> None:
    await take(student_database, student("S1", 3), section("A"), section("B"))
    early, late = opened("A"), opened("B")

    async with student_database.transaction() as transaction:
        state = await store.load(transaction, [early])
        waiting = asyncio.create_task(take(student_database, late))
        await asyncio.wait([waiting], timeout=0.5)
        REACTIONS[type(early)](state, early, Context(NOW, None))
        await store.save(transaction, state)
    await asyncio.wait_for(waiting, 10)

    claims = [await find(student_database, request) for request in (early, late)]
    states = [claim.state.value for claim in claims if claim is not None]
    assert states == ["claimed", "refused"]


@pytest.mark.parametrize("first", ["request", "release"])
async def test_a_request_and_its_release_in_two_transactions_at_once_leave_no_orphan_claim(
    student_database: Database, first: str
) -> None:
    await take(student_database, student("S1"), section("A"))
    request = opened("A")
    early, late = (
        (request, rejected(request)) if first == "request" else (rejected(request), request)
    )

    async with student_database.transaction() as transaction:
        await react(transaction, [early])
        waiting = asyncio.create_task(take(student_database, late))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done, "the second did not wait for the first"
    await asyncio.wait_for(waiting, 10)

    claim = await find(student_database, request)
    assert claim is not None
    assert claim.state is ClaimState.RELEASED


async def test_the_tables_are_those_that_the_migrations_make(student_database: Database) -> None:
    assert await schema_differences(student_database, store.METADATA) == []
