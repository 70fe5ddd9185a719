"""Visits every state of a configuration, the nearest first, and judges each step and each rest."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from services.simulation.explorer.configuration import ONE_OF_A_KIND, Configuration
from services.simulation.explorer.member import Member
from services.simulation.explorer.messages import Messages
from services.simulation.explorer.resting import Expectation, claimed, confirmed, reserved
from services.simulation.explorer.transactions import NOBODY, SETTING
from services.simulation.wiring import parts_of
from shared.choreography import Service

LOOK: Final = 1 << 12  # states between two looks at the clock
STATES_MAX: Final = 10_000_000  # as many as there is memory for

# How far outside has published, where each service stands, and how many faults may still strike.
State = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Found:
    """What came of exploring a configuration. `story` is the shortest way to its violation."""

    name: str
    states: int
    transitions: int
    depth: int
    rests: int
    seconds: float  # of processor time
    is_complete: bool
    violation: str = ""
    story: tuple[str, ...] = ()  # and in the end what is violated


class Search:
    """Explores one configuration."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._messages = Messages(
            configuration.partitions(),
            {s: parts_of(s, SETTING, NOBODY).reactions.keys() for s in Service},
        )
        self._members = [Member(s, configuration, self._messages) for s in Service]
        self._expectation = Expectation(configuration.meant())
        self._outside: list[tuple[tuple[str, int, int], ...]] = []
        self._list_outside()
        self._seen: dict[State, State | None] = {}
        self._judged: dict[tuple[int, int, int], tuple[str, ...]] = {}
        self._holding: list[dict[int, int]] = [{}, {}, {}]
        self._bits: dict[object, int] = {}
        self._transitions = 0
        self._rests = 0

    def _list_outside(self) -> None:
        """Number every way to be part of the way through the streams."""
        streams = self._configuration.streams
        counts = [len(stream) + 1 for stream in streams]
        weights = [1]
        for count in counts:
            weights.append(weights[-1] * count)
        for number in range(weights[-1]):
            steps = []
            for index, stream in enumerate(streams):
                position = number // weights[index] % counts[index]
                if position < len(stream):
                    message = self._messages.of_outside(stream[position], (index, position))
                    steps.append((stream[position].tells, number + weights[index], message))
            self._outside.append(tuple(steps))

    def run(self, seconds_max: float, states_max: int) -> Found:
        """Explore until all is seen, something is wrong, or there is too much of it."""
        began = time.process_time()
        until = time.monotonic() + seconds_max
        depth, level, is_complete = -1, [self._first()], True
        self._seen[level[0]] = None
        violation, story = "", tuple[str, ...]()
        while level and not violation and is_complete:
            depth += 1
            following: list[State] = []
            for number, state in enumerate(level):
                if len(self._seen) > states_max or (
                    number % LOOK == 0 and time.monotonic() > until
                ):
                    is_complete = False
                    break
                wrong = self._visit(state, following)
                if wrong is not None:
                    violation, story = wrong[1], self._story(state, wrong[0], wrong[1])
                    break
            level = following
        if is_complete and not violation and not self._rests:
            violation = "7: nothing ever comes to rest"
        return Found(
            self._configuration.name,
            len(self._seen),
            self._transitions,
            depth,
            self._rests,
            time.process_time() - began,
            is_complete and not violation,
            violation,
            story,
        )

    def _first(self) -> State:
        catalog = [
            self._messages.of_outside(message, (-1, number))
            for number, message in enumerate(self._configuration.catalog)
        ]
        enrollment, student, capacity = (member.start(catalog) for member in self._members)
        is_one = self._configuration.fault in ONE_OF_A_KIND
        return (0, enrollment, student, capacity, int(is_one))

    def _visit(self, state: State, following: list[State]) -> tuple[str, str] | None:
        """Take every step from a state; give the step and what is wrong, if something is."""
        wrong = self._judge(state)
        if wrong:
            return "", wrong
        seen = self._seen
        for tells, next_, violations in self._steps(state):
            self._transitions += 1
            if violations:
                return tells, "; ".join(violations)
            if next_ not in seen:
                seen[next_] = state
                following.append(next_)
        return None

    def _steps(self, state: State) -> Iterator[tuple[str, State, tuple[str, ...]]]:
        outside, enrollment, student, capacity, faults = state
        for tells, next_, message in self._outside[outside]:
            yield tells, self._published((next_, *state[1:]), (message,)), ()
        for index, member in enumerate(self._members, 1):
            for action in member.actions(state[index]):
                if action.cost > faults:
                    continue
                moved = (
                    outside,
                    action.next if index == 1 else enrollment,
                    action.next if index == 2 else student,
                    action.next if index == 3 else capacity,
                    faults - action.cost,
                )
                if action.published:
                    moved = self._published(moved, action.published)
                yield action.tells, moved, action.violations

    def _published(self, state: State, messages: tuple[int, ...]) -> State:
        outside, enrollment, student, capacity, faults = state
        first, second, third = self._members
        return (
            outside,
            first.append(enrollment, messages),
            second.append(student, messages),
            third.append(capacity, messages),
            faults,
        )

    # Judging

    def _judge(self, state: State) -> str:
        """Whoever is confirmed has seats and a claim at every moment; at rest, nobody else has."""
        outside, enrollment, student, capacity, _ = state
        said = self._held(0, enrollment)
        if said and said & ~(self._held(1, student) & self._held(2, capacity)):
            return "2: an enrollment is confirmed without its seats or its claim"
        if self._outside[outside] or not all(
            member.is_quiet(place) for member, place in zip(self._members, state[1:4], strict=True)
        ):
            return ""
        self._rests += 1
        places = (enrollment, student, capacity)
        found = self._judged.get(places)
        if found is None:
            contents = {
                service: member.contents(place)
                for service, member, place in zip(Service, self._members, places, strict=True)
            }
            found = tuple(self._expectation.judge(contents))
            self._judged[places] = found
        return "; ".join(found)

    def _held(self, index: int, place: int) -> int:
        """Give as bits what a service says to be held."""
        found = self._holding[index].get(place)
        if found is None:
            read = (confirmed, claimed, reserved)[index]
            held = read(self._members[index].contents(place))
            found = 0
            for one in held.items():
                found |= 1 << self._bits.setdefault(one, len(self._bits))
            self._holding[index][place] = found
        return found

    # Telling

    def _story(self, state: State, last: str, violation: str) -> tuple[str, ...]:
        """Find the steps of the way again, and tell them."""
        way: list[State] = [state]
        while (before := self._seen[way[-1]]) is not None:
            way.append(before)
        way.reverse()
        lines = [self._telling(before, after) for before, after in pairwise(way)]
        if last:
            lines.append(last)
        return (*lines, f"violates {violation}")

    def _telling(self, before: State, after: State) -> str:
        return next(tells for tells, next_, _ in self._steps(before) if next_ == after)


def explore(
    configuration: Configuration, seconds_max: float, states_max: int = STATES_MAX
) -> Found:
    """Explore a configuration."""
    return Search(configuration).run(seconds_max, states_max)


def tell(found: Found) -> str:
    """Write a violation's story, with numbers."""
    lines = [f"{found.name}: {found.violation}"]
    for number, step in enumerate(found.story[:-1], 1):
        first, *more = step.split("\n")
        lines.append(f"{number:3}. {first}")
        lines += [f"       {line}" for line in more]
    return "\n".join([*lines, f"     {found.story[-1]}"] if found.story else lines)
