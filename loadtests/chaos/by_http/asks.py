"""What the clients of the ingress ask for and when: made up, by a seed alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from typing import Final
from uuid import UUID

from loadtests.chaos.workload import SECTIONS_A_REQUEST_MAX
from shared.identifiers import SectionId, StudentId

TOGETHER_MAX: Final = 4
TRIES_MAX: Final = 1000  # to find what a student has not asked for
HANG_UP_SECONDS_MAX: Final = 0.02  # about as long as an answer takes

Content = tuple[StudentId, frozenset[SectionId]]


class Act(StrEnum):
    """What is asked of the ingress."""

    ENROLL = "enroll"
    CANCEL = "cancel"
    LOOK = "look"


@dataclass(frozen=True)
class Ask:
    """One thing to ask, as often as it takes to be answered.

    All asks of one `request` are about the same enrollment, but that one without a key counts as
    a new one once the one before has come to nothing. `hangs_up_after` is when the first try is
    given up without its answer. A cancel or a look waits until its request was accepted.
    """

    at_seconds: float
    act: Act
    request: int
    student_id: StudentId
    sections: tuple[SectionId, ...]
    key: str | None
    hangs_up_after: float | None = None

    @property
    def content(self) -> Content:
        """Say what is asked for: in which order the sections stand does not count."""
        return self.student_id, frozenset(self.sections)


@dataclass(frozen=True)
class Habits:
    """How many requests, how fast; and of each, how likely it is to come with one of these."""

    requests: int
    requests_per_second: float
    keyless: float = 0.2
    together: float = 0.1
    together_max: int = TOGETHER_MAX  # so many ask for the same at the same moment
    hang_up: float = 0.1
    later: float = 0.15
    later_seconds_max: float = 30.0
    other_body: float = 0.03
    cancel: float = 0.08
    cancel_seconds_max: float = 20.0
    look: float = 0.3
    look_seconds_max: float = 3.0


def plan_asks(
    random: Random,
    students: Sequence[StudentId],
    sections: Sequence[SectionId],
    habits: Habits,
) -> list[Ask]:
    """Spread the requests evenly, with their repeats, contradictions, cancels and looks."""
    end_seconds = habits.requests / habits.requests_per_second
    contents = _Contents(random, sections)
    asks = [
        ask
        for number in range(habits.requests)
        for ask in _with_company(random, number, random.choice(students), contents, habits)
    ]
    in_time = (replace(one, at_seconds=min(one.at_seconds, end_seconds)) for one in asks)
    return sorted(in_time, key=lambda ask: ask.at_seconds)


class _Contents:
    """Gives what nobody has asked for before, so that it tells whose enrollment one is."""

    def __init__(self, random: Random, sections: Sequence[SectionId]) -> None:
        self._random = random
        self._sections = sections
        self._known: set[Content] = set()

    def of(self, student: StudentId) -> tuple[SectionId, ...]:
        """Give sections that this student has not asked for."""
        for _ in range(TRIES_MAX):
            count = self._random.randint(1, SECTIONS_A_REQUEST_MAX)
            some = tuple(self._random.sample(self._sections, count))
            if (student, frozenset(some)) not in self._known:
                self._known.add((student, frozenset(some)))
                return some
        raise ValueError(f"{student} has asked for everything: make more students or sections")


def _with_company(
    random: Random, number: int, student: StudentId, contents: _Contents, habits: Habits
) -> Iterator[Ask]:
    sections = contents.of(student)
    key = None if random.random() < habits.keyless else str(UUID(int=random.getrandbits(128)))
    at_seconds = number / habits.requests_per_second
    first = Ask(at_seconds, Act.ENROLL, number, student, sections, key)
    if random.random() < habits.hang_up:
        first = replace(first, hangs_up_after=random.uniform(0.0, HANG_UP_SECONDS_MAX))
    yield first
    if random.random() < habits.together:
        for _ in range(random.randint(1, habits.together_max - 1)):
            yield _shuffled(random, replace(first, hangs_up_after=None))
    if random.random() < habits.later:
        yield _later(random, _shuffled(random, first), habits.later_seconds_max)
    if key is not None and random.random() < habits.other_body:
        others = replace(first, sections=contents.of(student))
        yield _later(random, others, habits.later_seconds_max)
    if random.random() < habits.cancel:
        cancel_key = None if key is None else f"{key}-cancel"
        cancel = replace(first, act=Act.CANCEL, key=cancel_key)
        yield _later(random, cancel, habits.cancel_seconds_max)
    if random.random() < habits.look:
        yield _later(random, replace(first, act=Act.LOOK, key=None), habits.look_seconds_max)


def _later(random: Random, ask: Ask, seconds_max: float) -> Ask:
    at_seconds = ask.at_seconds + random.uniform(0.0, seconds_max)
    return replace(ask, at_seconds=at_seconds, hangs_up_after=None)


def _shuffled(random: Random, ask: Ask) -> Ask:
    """Name the sections in another order: it is the same request."""
    return replace(ask, sections=tuple(random.sample(ask.sections, len(ask.sections))))
