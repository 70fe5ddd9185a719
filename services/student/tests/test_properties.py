"""Whatever comes, in whatever order: claims keep to the limit, the clock and the term."""

from collections.abc import Sequence
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.student.model import Claim, ClaimState, State, Student
from services.student.tests.test_decisions import (
    TERM,
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
    StudentClaimReleased,
    StudentRejected,
    StudentValidated,
    StudentWithdrawn,
)
from shared.identifiers import EnrollmentId, StudentId

DETERMINISTIC = settings(max_examples=200, derandomize=True, deadline=None)
STUDENTS = ("S1", "S2")
SECTIONS = ("A", "B", "C", "D")
WHO = {1: "S1", 2: "S1", 3: "S1", 4: "S2", 5: "S2", 6: "S1"}
ASKED = {1: ("A",), 2: ("A", "B"), 3: ("C", "D"), 4: ("B", "C"), 5: ("D",), 6: ("B", "unknown")}

numbers = st.sampled_from(sorted(WHO))
meetings = st.builds(
    lambda start, length, days, weeks: meeting(start, start + length, days=days, weeks=weeks),
    st.sampled_from([480, 540, 600]),
    st.sampled_from([60, 61, 120]),
    st.sampled_from(["1000000", "0100000", "1100000"]),
    st.sampled_from(["1", "01", "11"]),
)
sections = st.builds(
    lambda section_id, several, worth, version: section(
        section_id, *several, worth=worth, version=version
    ),
    st.sampled_from(SECTIONS),
    st.lists(meetings, max_size=2),
    st.integers(0, 4),
    st.integers(0, 9),
)
students = st.builds(
    lambda student_id, limit, version: student(student_id, max_credits=limit, version=version),
    st.sampled_from(STUDENTS),
    st.integers(0, 12),
    st.integers(0, 9),
)
openings = numbers.map(lambda n: opened(n, *ASKED[n], student_id=WHO[n]))
steps: st.SearchStrategy[Event] = st.one_of(
    openings,
    openings,
    openings,
    numbers.map(lambda n: rejected(n, *ASKED[n], student_id=WHO[n])),
    numbers.map(lambda n: rejected(n, student_id=WHO[n])),
    numbers.map(lambda n: cancelled(n, *ASKED[n], student_id=WHO[n])),
    sections,
    students,
    st.sampled_from(SECTIONS).map(withdrawn),
    st.sampled_from(STUDENTS).map(lambda s: StudentWithdrawn(student_id=StudentId(s))),
)
# Most begin with catalogs, or most of what follows would be refused as unknown.
catalogs: st.SearchStrategy[list[Event]] = st.lists(st.one_of(sections, students), max_size=8)
histories = st.builds(
    lambda generous, catalog, events: [*generous, *catalog, *events],
    st.sampled_from([[], [student("S1", max_credits=9), student("S2", max_credits=9)]]),
    catalogs,
    st.lists(steps, max_size=30),
)


def claims_of(state: State) -> dict[EnrollmentId, Claim]:
    return {claim.enrollment_id: claim for claim in state.claims.all()}


def held_by(state: State, student_id: str) -> list[Claim]:
    """Count from the rows themselves, not from the index that the decisions use."""
    return [
        claim
        for claim in state.claims.all()
        if claim.state is ClaimState.CLAIMED and claim.student_id == student_id
    ]


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
