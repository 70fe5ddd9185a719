"""Whatever comes, in whatever order: claims keep to the limit, the clock and the term."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import combinations
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.student.model import Claim, ClaimState, State, Student
from services.student.tests.making import (
    MONDAY,
    NOW,
    TERM,
    TUESDAY,
    apply,
    cancelled,
    fresh,
    meeting,
    opened,
    rejected,
    said,
    section,
    student,
    withdrawn,
)
from shared.events import (
    EnrollmentCancelled,
    EnrollmentOpened,
    EnrollmentRejected,
    Event,
    SectionPublished,
    StudentClaimReleased,
    StudentPublished,
    StudentRejected,
    StudentValidated,
    StudentWithdrawn,
)
from shared.identifiers import EnrollmentId, SectionId, SectionKey, StudentId

DETERMINISTIC = settings(max_examples=200, derandomize=True, deadline=None)
STUDENTS = ("S1", "S2")
SECTIONS = ("A", "B", "C", "D")
COURSES = {"A": "AB", "B": "AB", "C": "CD", "D": "CD"}
WHO = {1: "S1", 2: "S1", 3: "S1", 4: "S2", 5: "S2", 6: "S1", 7: "S2", 8: "S1"}
ASKED = {
    1: ("A",),
    2: ("A", "B"),
    3: ("C", "D"),
    4: ("B", "C"),
    5: ("D",),
    6: ("B", "unknown"),
    7: ("A", "B", "C"),
    8: ("D", "B"),
}


def some_section(chance: Random, section_id: str) -> SectionPublished:
    meetings = [
        meeting(
            start := chance.choice([480, 540, 600]),
            start + chance.choice([60, 61, 120]),
            days=chance.choice([MONDAY, TUESDAY, "1100000"]),
            weeks=chance.choice(["1", "01", "11"]),
        )
        for _ in range(chance.choice([0, 1, 1, 2]))
    ]
    worth, version = chance.choice([0, 2, 3, 4]), chance.randrange(4)
    more: dict[str, Any] = {
        "course_id": COURSES[section_id],
        "part": chance.choice([None, None, "lecture"]),
        "prerequisites": chance.choice([(), (), (), [["P1", "P2"]]]),
        "corequisites": chance.choice([(), (), (), ["CD"], ["P1"]]),
    }
    return section(section_id, *meetings, worth=worth, version=version, **more)


def some_student(chance: Random, student_id: str) -> StudentPublished:
    opens_at = NOW + timedelta(seconds=chance.choice([-1, -1, -1, 1]))
    window = {"term": TERM, "opens_at": opens_at, "closes_at": NOW + timedelta(seconds=9)}
    return student(
        student_id,
        max_credits=chance.randrange(2, 14),
        version=chance.randrange(4),
        holds=chance.choice([(), (), (), [{"code": "fees"}]]),
        windows=chance.choice([(), (), [window]]),
        completed_courses=chance.choice([(), ["P1"], ["P2"]]),
    )


def some_event(chance: Random) -> Event:
    number = chance.choice(sorted(ASKED))
    who, asked = WHO[number], ASKED[number]
    match chance.randrange(12):
        case 0:
            return some_section(chance, chance.choice(SECTIONS))
        case 1:
            return some_student(chance, chance.choice(STUDENTS))
        case 2:
            return withdrawn(chance.choice(SECTIONS))
        case 3:
            return StudentWithdrawn(student_id=StudentId(chance.choice(STUDENTS)))
        case 4:
            return rejected(number, *asked, student_id=who)
        case 5:
            return rejected(number, student_id=who)
        case 6:
            return cancelled(number, *asked, student_id=who)
        case _:
            return opened(number, *asked, student_id=who)


def history_of(seed: int, length: int) -> list[Event]:
    """The first of the events of a seed: a failure shrinks to the shortest history that has it."""
    chance = Random(seed)
    catalogs = [
        *[some_section(chance, section_id) for section_id in SECTIONS],
        *[some_student(chance, student_id) for student_id in STUDENTS],
    ]
    known = [entry for entry in catalogs if chance.random() < 0.9]
    return [*known, *[some_event(chance) for _ in range(length)]]


histories = st.builds(history_of, st.integers(0, 2**32), st.integers(0, 40))


def claims_of(state: State) -> dict[EnrollmentId, Claim]:
    return {claim.enrollment_id: claim for claim in state.claims.all()}


def held_by(state: State, student_id: str) -> list[Claim]:
    """Count from the rows themselves, not from the index that the decisions use."""
    return [
        claim
        for claim in state.claims.all()
        if claim.state is ClaimState.CLAIMED and claim.student_id == student_id
    ]


def section_of(state: State, section_id: SectionId) -> SectionPublished:
    known = state.sections.get(SectionKey(TERM, section_id))
    assert known is not None
    return known.published


def limit_of(known: Student | None) -> int:
    assert known is not None
    assert not known.is_withdrawn
    return known.published.max_credits


@given(histories)
@DETERMINISTIC
def test_claims_keep_to_the_limit_that_is_in_force_at_each_claim(history: Sequence[Event]) -> None:
    state = fresh()

    for event in history:
        for answer in said(state, event):
            if isinstance(answer, StudentValidated):
                limit = limit_of(state.students.get(answer.student_id))
                held = held_by(state, answer.student_id)
                assert sum(claim.credits for claim in held) <= limit
                assert claims_of(state)[answer.enrollment_id].credit_limit == limit


@given(histories)
@DETERMINISTIC
def test_no_two_sections_that_a_student_holds_clash(history: Sequence[Event]) -> None:
    state = fresh()

    for event in history:
        said(state, event)

        for student_id in STUDENTS:
            slots = [slot for claim in held_by(state, student_id) for slot in claim.slots]
            for one, other in combinations(slots, 2):
                assert one.section_id == other.section_id or not one.clashes_with(other)


@given(histories)
@DETERMINISTIC
def test_a_student_holds_a_section_at_most_once(history: Sequence[Event]) -> None:
    state = fresh()

    for event in history:
        said(state, event)

        for student_id in STUDENTS:
            held = [s for claim in held_by(state, student_id) for s in claim.sections]
            assert len(held) == len(set(held))


@given(histories)
@DETERMINISTIC
def test_whoever_is_validated_met_every_rule_by_the_catalogs_of_that_moment(
    history: Sequence[Event],
) -> None:
    state = fresh()

    for event in history:
        for answer in said(state, event):
            if isinstance(answer, StudentValidated):
                known = state.students.get(answer.student_id)
                assert known is not None
                who = known.published
                held = [s for claim in held_by(state, who.student_id) for s in claim.sections]
                has = [section_of(state, section_id) for section_id in held]
                asked = [section_of(state, section_id) for section_id in answer.sections]
                assert not who.holds
                assert all(w.opens_at <= NOW < w.closes_at for w in who.windows)
                done = set(who.completed_courses)
                taken = done | {one.course_id for one in has}
                assert all(done & set(courses) for one in asked for courses in one.prerequisites)
                assert all(course in taken for one in asked for course in one.corequisites)
                new = [(one.course_id, one.part) for one in asked if one.part is not None]
                parts = Counter((one.course_id, one.part) for one in has)
                assert all(parts[part] == 1 for part in new)


@given(histories)
@DETERMINISTIC
def test_exactly_what_was_claimed_is_given_back_and_once(history: Sequence[Event]) -> None:
    state = fresh()
    holding: dict[EnrollmentId, int] = {}

    for event in history:
        for told in said(state, event):
            if isinstance(told, StudentValidated):
                assert told.enrollment_id not in holding
                holding[told.enrollment_id] = told.credits
            elif isinstance(told, StudentClaimReleased):
                assert told.credits == holding.pop(told.enrollment_id)

    claimed = [claim for claim in claims_of(state).values() if claim.state is ClaimState.CLAIMED]
    assert {claim.enrollment_id: claim.credits for claim in claimed} == holding


@given(histories)
@DETERMINISTIC
def test_an_opening_has_one_answer_unless_its_end_came_first(history: Sequence[Event]) -> None:
    state = fresh()
    known: set[EnrollmentId] = set()

    for event in history:
        events = said(state, event)

        match event:
            case EnrollmentOpened(enrollment_id=enrollment_id):
                answers = [e for e in events if isinstance(e, StudentValidated | StudentRejected)]
                assert len(answers) == (0 if enrollment_id in known else 1)
                known.add(enrollment_id)
            case EnrollmentRejected() | EnrollmentCancelled():
                assert all(isinstance(e, StudentClaimReleased) for e in events)
                known.add(event.enrollment_id)
            case _:
                assert events == []


@given(histories)
@DETERMINISTIC
def test_a_refusal_always_has_a_reason(history: Sequence[Event]) -> None:
    state = fresh()

    events = said(state, *history)

    assert all(event.reasons for event in events if isinstance(event, StudentRejected))


@given(histories)
@DETERMINISTIC
def test_the_index_of_held_claims_agrees_with_the_rows(history: Sequence[Event]) -> None:
    state = fresh()

    for event in history:
        said(state, event)

        for student_id in STUDENTS:
            indexed = state.held_claims(StudentId(student_id), TERM)
            assert sorted(c.enrollment_id for c in indexed) == sorted(
                c.enrollment_id for c in held_by(state, student_id)
            )


@given(histories, st.integers(1, 7))
@DETERMINISTIC
def test_how_events_are_cut_into_batches_does_not_matter(
    history: Sequence[Event], size: int
) -> None:
    whole, in_batches = fresh(), fresh()

    at_once = said(whole, *history)
    cut: list[Event] = []
    for start in range(0, len(history), size):
        folded = apply(in_batches, history[start : start + size])
        cut.extend(one.event for one in folded.emitted)
        in_batches = State(  # as a store would load it again
            claims=claims_of(in_batches),
            students={s.published.student_id: s for s in in_batches.students.all()},
            sections={s.published.key: s for s in in_batches.sections.all()},
        )

    assert cut == at_once
    assert claims_of(in_batches) == claims_of(whole)


def test_the_histories_reach_every_kind_of_answer() -> None:
    """Or the properties above would hold of nothing."""
    reached: Counter[str] = Counter()

    for seed in range(200):
        for event in said(fresh(), *history_of(seed, 30)):
            reasons = event.reasons if isinstance(event, StudentRejected) else ()
            reached.update([type(event).__name__, *{reason.code for reason in reasons}])

    assert set(reached) == {
        "StudentValidated",
        "StudentRejected",
        "StudentClaimReleased",
        "unknown_student",
        "unknown_section",
        "student_hold",
        "outside_window",
        "already_enrolled",
        "same_course_part",
        "prerequisite",
        "corequisite",
        "time_conflict",
        "credit_limit",
    }
    assert min(reached.values()) >= 20, reached
