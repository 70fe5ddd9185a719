"""Whatever comes for one id, in whatever order: one opening, one outcome, one owner."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from services.enrollment.handlers import on_deadlines_passed
from services.enrollment.model import EnrollmentState, State
from services.enrollment.tests.test_decisions import (
    ID,
    NOW,
    A,
    apply,
    cancel,
    fresh,
    ineligible,
    malformed,
    requested,
    reserved,
    unavailable,
)
from shared.events import (
    EnrollmentCancellationRequested,
    EnrollmentCancelled,
    EnrollmentConfirmed,
    EnrollmentEvent,
    EnrollmentOpened,
    EnrollmentRejected,
    EnrollmentRequested,
    Event,
    MalformedRequest,
)

DETERMINISTIC = settings(max_examples=200, derandomize=True, deadline=None)
ENDS = {
    EnrollmentConfirmed: EnrollmentState.CONFIRMED,
    EnrollmentRejected: EnrollmentState.REJECTED,
    EnrollmentCancelled: EnrollmentState.CANCELLED,
}

STORIES: list[list[type[Event]]] = [
    [],
    [EnrollmentRejected],  # at stage request
    [EnrollmentCancelled],  # it was cancelled before it came
    [EnrollmentOpened],
    [EnrollmentOpened, EnrollmentConfirmed],
    [EnrollmentOpened, EnrollmentRejected],
    [EnrollmentOpened, EnrollmentCancelled],
    [EnrollmentOpened, EnrollmentConfirmed, EnrollmentCancelled],
]


@dataclass(frozen=True)
class Tick:
    """Some seconds pass, and the deadlines are looked at."""

    seconds: int


Step = Event | Tick

REQUESTS: list[EnrollmentRequested | MalformedRequest] = [
    requested(),
    requested(),
    requested(),
    requested(A),
    requested(student="S2"),
    malformed(),
    malformed(student="S2"),
]
CANCELS = [cancel(), cancel("S2")]
ANSWERS: list[Event] = [
    reserved(),
    reserved(),
    ineligible(),
    unavailable(),
]


def some_step(chance: Random) -> Step:
    match chance.randrange(8):
        case 0 | 1 | 2:
            return chance.choice(REQUESTS)
        case 3:
            return chance.choice(CANCELS)
        case 4:
            return Tick(chance.randrange(25))
        case _:
            return chance.choice(ANSWERS)


def history_of(seed: int, length: int) -> list[Step]:
    """The first of the steps of a seed: a failure shrinks to the shortest history that has it."""
    chance = Random(seed)
    return [some_step(chance) for _ in range(length)]


histories = st.builds(history_of, st.integers(0, 2**32), st.integers(0, 30))
requests = st.sampled_from(REQUESTS)


class Run:
    """Plays steps one by one, with a clock that only ticks move."""

    def __init__(self) -> None:
        self.state: State = fresh()
        self.now = NOW

    def play(self, step: Step) -> list[EnrollmentEvent]:
        if isinstance(step, Tick):
            self.now += timedelta(seconds=step.seconds)
            emitted = on_deadlines_passed(self.state, self.now)
        else:
            folded = apply(self.state, [step], self.now)
            assert folded.parked == []
            emitted = folded.emitted
        return [one.event for one in emitted if isinstance(one.event, EnrollmentEvent)]

    def play_all(self, history: Sequence[Step]) -> list[EnrollmentEvent]:
        return [event for step in history for event in self.play(step)]

    @property
    def life(self) -> EnrollmentState | None:
        known = self.state.enrollments.get(ID)
        return None if known is None else known.state


@given(histories)
@DETERMINISTIC
def test_an_id_is_opened_at_most_once_and_ends_at_most_once(history: Sequence[Step]) -> None:
    run = Run()

    events = run.play_all(history)

    assert [type(event) for event in events] in STORIES


@given(histories)
@DETERMINISTIC
def test_what_is_said_is_what_is_kept(history: Sequence[Step]) -> None:
    run = Run()

    for step in history:
        before = run.life
        events = run.play(step)

        for event in events:
            expected = ENDS.get(type(event), EnrollmentState.PENDING)
            assert run.life is expected
        if not events:
            assert run.life is before or (before, run.life) == (None, EnrollmentState.UNOPENED)


@given(histories)
@DETERMINISTIC
def test_the_first_request_of_an_id_is_told_of_at_once(history: Sequence[Step]) -> None:
    run = Run()
    is_requested = False

    for step in history:
        events = run.play(step)

        is_request = isinstance(step, EnrollmentRequested | MalformedRequest)
        if is_request:
            assert len(events) == (0 if is_requested else 1)
        is_requested |= is_request
        assert is_requested or not events


@given(histories)
@DETERMINISTIC
def test_every_event_belongs_to_the_student_who_asked_first(history: Sequence[Step]) -> None:
    run = Run()

    events = run.play_all(history)

    asked = [s for s in history if isinstance(s, EnrollmentRequested | MalformedRequest)]
    assert {event.student_id for event in events} == {s.student_id for s in asked[:1]}


@given(histories, requests)
@DETERMINISTIC
def test_a_request_under_a_known_id_changes_nothing(
    history: Sequence[Step], again: EnrollmentRequested | MalformedRequest
) -> None:
    run = Run()
    run.play_all([*history, again])
    before = run.state.enrollments.get(ID)
    recorded = len(run.state.conflicts)

    events = run.play_all([again, again])

    assert events == []
    assert run.state.enrollments.get(ID) is before
    first = next(
        s for s in [*history, again] if isinstance(s, EnrollmentRequested | MalformedRequest)
    )
    assert len(run.state.conflicts) == recorded + (0 if again == first else 2)


@given(histories)
@DETERMINISTIC
def test_a_students_own_cancel_and_no_other_ends_an_enrollment(history: Sequence[Step]) -> None:
    run = Run()
    live = (EnrollmentState.PENDING, EnrollmentState.CONFIRMED)
    cancelled_by: set[str] = set()

    for step in history:
        if isinstance(step, EnrollmentCancellationRequested):
            cancelled_by.add(step.student_id)

        for event in run.play(step):
            assert not isinstance(event, EnrollmentCancelled) or event.student_id in cancelled_by

        known = run.state.enrollments.get(ID)
        if known is not None and known.state in live:
            assert known.student_id not in cancelled_by


@given(histories)
@DETERMINISTIC
def test_nothing_is_pending_after_its_deadline(history: Sequence[Step]) -> None:
    run = Run()
    run.play_all(history)

    run.play(Tick(30))

    assert run.life is not EnrollmentState.PENDING


def test_the_histories_reach_every_story() -> None:
    """Or the properties above would hold of nothing."""
    reached: Counter[tuple[str, ...]] = Counter()

    for seed in range(400):
        events = Run().play_all(history_of(seed, 12))
        reached[tuple(type(event).__name__ for event in events)] += 1

    assert set(reached) >= {tuple(event.__name__ for event in story) for story in STORIES if story}
