"""Whatever comes, in whatever order: the seats add up, and every question has one answer."""

from collections import Counter
from collections.abc import Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from services.capacity.model import Reservation, ReservationState, Section, State
from services.capacity.tests.test_decisions import (
    apply,
    cancelled,
    fresh,
    key,
    published,
    rejected,
    said,
    validated,
)
from shared.events import (
    EnrollmentCancelled,
    EnrollmentRejected,
    Event,
    SeatReleased,
    SeatReserved,
    SeatUnavailable,
    SectionPublished,
    SectionState,
    SectionWithdrawn,
    StudentValidated,
)
from shared.identifiers import EnrollmentId, SectionId

DETERMINISTIC = settings(max_examples=200, derandomize=True, deadline=None)
SECTIONS = ("A", "B", "C")
ASKED = {
    1: ("A",),
    2: ("A", "B"),
    3: ("B", "A"),
    4: ("A", "B", "C"),
    5: ("C", "unknown"),
    6: ("C",),
}


def some_section(chance: Random, section_id: str) -> SectionPublished:
    state = chance.choice([SectionState.OPEN, SectionState.OPEN, *SectionState])
    return published(section_id, chance.randrange(4), version=chance.randrange(5), state=state)


def some_event(chance: Random) -> Event:
    number = chance.choice(sorted(ASKED))
    asked = ASKED[number]
    match chance.randrange(12):
        case 0 | 1:
            return some_section(chance, chance.choice(SECTIONS))
        case 2:
            return SectionWithdrawn(key=key(chance.choice(SECTIONS)))
        case 3:
            return rejected(number, *asked, student=f"S{number}")
        case 4:
            return rejected(number, student=f"S{number}")
        case 5:
            return cancelled(number, *asked, student=f"S{number}")
        case 6:
            return cancelled(number, *asked, student="another")
        case _:
            return validated(number, *asked, student=f"S{number}")


def history_of(seed: int, length: int) -> list[Event]:
    """The first of the events of a seed: a failure shrinks to the shortest history that has it."""
    chance = Random(seed)
    catalog = [published(section_id, chance.randrange(4)) for section_id in SECTIONS]
    known: list[Event] = [entry for entry in catalog if chance.random() < 0.9]
    return [*known, *[some_event(chance) for _ in range(length)]]


histories = st.builds(history_of, st.integers(0, 2**32), st.integers(0, 50))


def sections_of(state: State) -> dict[SectionId, Section]:
    return {section.key.section_id: section for section in state.sections.all()}


def reservations_of(state: State) -> dict[EnrollmentId, Reservation]:
    return {one.enrollment_id: one for one in state.reservations.all()}


def holders(state: State) -> Counter[SectionId]:
    return Counter(
        section_id
        for one in state.reservations.all()
        if one.state is ReservationState.RESERVED
        for section_id in one.sections
    )


@given(histories)
@DETERMINISTIC
def test_reserved_counts_the_reservations_at_every_step(history: Sequence[Event]) -> None:
    state = fresh()

    for event in history:
        said(state, event)

        counted = {s: section.reserved for s, section in sections_of(state).items()}
        assert counted == {s: holders(state)[s] for s in counted}
        assert set(holders(state)) <= set(counted)


@given(histories)
@DETERMINISTIC
def test_no_seat_is_taken_unless_one_is_free_in_every_section(history: Sequence[Event]) -> None:
    state = fresh()

    for event in history:
        before = sections_of(state)
        for answer in said(state, event):
            if isinstance(answer, SeatReserved):
                asked = [before[section_id] for section_id in answer.sections]
                assert all(section.reserved < section.capacity for section in asked)
                assert all(section.state is SectionState.OPEN for section in asked)


@given(histories)
@DETERMINISTIC
def test_seats_move_in_all_sections_of_an_enrollment_or_in_none(history: Sequence[Event]) -> None:
    state = fresh()

    for event in history:
        before = sections_of(state)
        events = said(state, event)

        moved = {
            section_id: section.reserved - before[section_id].reserved
            for section_id, section in sections_of(state).items()
            if section_id in before and section.reserved != before[section_id].reserved
        }
        match events:
            case [SeatReserved(sections=sections)]:
                assert moved == dict.fromkeys(sections, 1)
            case [SeatReleased(sections=sections)]:
                assert moved == dict.fromkeys(sections, -1)
            case _:
                assert moved == {}


@given(histories)
@DETERMINISTIC
def test_the_ledger_tells_every_change_of_reserved_once(history: Sequence[Event]) -> None:
    state = fresh()
    sequence: Counter[SectionId] = Counter()
    reserved: Counter[SectionId] = Counter()

    for event in history:
        for told in said(state, event):
            assert isinstance(told, SeatReserved | SeatReleased | SeatUnavailable)
            change = {SeatReserved: 1, SeatReleased: -1, SeatUnavailable: 0}[type(told)]
            for count in told.seats:
                sequence[count.section_id] += abs(change)
                reserved[count.section_id] += change
                section = sections_of(state)[count.section_id]
                assert count == section.count()
                assert count.seat_sequence == sequence[count.section_id]
                assert count.reserved == reserved[count.section_id]

        for section_id, section in sections_of(state).items():
            assert section.seat_sequence == sequence[section_id]
            assert section.reserved == reserved[section_id]


@given(histories)
@DETERMINISTIC
def test_every_question_of_an_enrollment_has_exactly_one_answer(history: Sequence[Event]) -> None:
    state = fresh()

    events = said(state, *history)

    asked = {e.enrollment_id for e in history if isinstance(e, StudentValidated)}
    answers = Counter(
        e.enrollment_id for e in events if isinstance(e, SeatReserved | SeatUnavailable)
    )
    assert answers == Counter(asked)


@given(histories)
@DETERMINISTIC
def test_seats_are_given_back_at_most_once_and_never_taken_after_the_end(
    history: Sequence[Event],
) -> None:
    state = fresh()
    ended: set[EnrollmentId] = set()
    holding: set[EnrollmentId] = set()

    for event in history:
        events = said(state, event)
        for told in events:
            if isinstance(told, SeatReserved):
                assert told.enrollment_id not in ended
                holding.add(told.enrollment_id)
            elif isinstance(told, SeatReleased):
                holding.remove(told.enrollment_id)
        match event:
            case EnrollmentRejected() | EnrollmentCancelled() if event.student_id != "another":
                ended.add(event.enrollment_id)
                assert event.enrollment_id not in holding
            case EnrollmentRejected() | EnrollmentCancelled():
                assert events == []
            case _:
                pass

    held = {
        enrollment_id
        for enrollment_id, one in reservations_of(state).items()
        if one.state is ReservationState.RESERVED
    }
    assert held == holding


@given(histories)
@DETERMINISTIC
def test_the_highest_version_counts(history: Sequence[Event]) -> None:
    state = fresh()

    said(state, *history)

    for section_id, section in sections_of(state).items():
        versions = [
            e for e in history if isinstance(e, SectionPublished) and e.section_id == section_id
        ]
        highest = max(e.version for e in versions)
        first = next(e for e in versions if e.version == highest)
        assert (section.version, section.capacity) == (highest, first.capacity)
        assert section.free == max(0, first.capacity - section.reserved)


@given(histories, st.integers(1, 7))
@DETERMINISTIC
def test_how_events_are_cut_into_batches_does_not_matter(
    history: Sequence[Event], size: int
) -> None:
    whole, in_batches = fresh(), fresh()

    at_once = said(whole, *history)
    cut = [
        one.event
        for start in range(0, len(history), size)
        for one in apply(in_batches, history[start : start + size]).emitted
    ]

    assert cut == at_once
    assert sections_of(in_batches) == sections_of(whole)
    assert reservations_of(in_batches) == reservations_of(whole)


@given(histories, st.data())
@DETERMINISTIC
def test_a_repeated_event_of_an_enrollment_changes_nothing(
    history: Sequence[Event], data: st.DataObject
) -> None:
    state = fresh()
    said(state, *history)
    seen = [e for e in history if not isinstance(e, SectionPublished | SectionWithdrawn)]
    again = data.draw(st.lists(st.sampled_from(seen), max_size=10)) if seen else []
    before = (sections_of(state), reservations_of(state))

    repeated = said(state, *again)

    assert repeated == []
    assert (sections_of(state), reservations_of(state)) == before


def test_the_histories_reach_every_kind_of_answer() -> None:
    """Or the properties above would hold of nothing."""
    reached: Counter[str] = Counter()

    for seed in range(200):
        for event in said(fresh(), *history_of(seed, 30)):
            reasons = event.reasons if isinstance(event, SeatUnavailable) else ()
            reached.update([type(event).__name__, *{reason.code for reason in reasons}])

    assert set(reached) == {
        "SeatReserved",
        "SeatReleased",
        "SeatUnavailable",
        "section_full",
        "section_closed",
        "section_cancelled",
        "unknown_section",
        "already_released",
    }
    assert min(reached.values()) >= 20, reached
