"""A service with what it has yet to read, and everything that may happen to it next."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, combinations_with_replacement, product
from typing import Final, NamedTuple

from services.enrollment.model import EnrollmentState
from services.simulation.explorer.configuration import Configuration, Fault
from services.simulation.explorer.contents import EMPTY, Contents
from services.simulation.explorer.effects import Effects, Task
from services.simulation.explorer.messages import Messages
from services.simulation.explorer.transactions import COMMITTED, Effect
from services.simulation.oracle import short
from shared.choreography import Service
from shared.identifiers import EnrollmentId, PartitionKey

REPEATING: Final = frozenset({Fault.REPEATS, Fault.NO_INBOX})
PARKING: Final = frozenset({Fault.POISON, Fault.REPLAYS, Fault.DISCARD})
AT_ONCE: Final = frozenset({Fault.RIVALS, Fault.REPLAYS})
ENDLESS: Final = "7: nothing is nearer to its end after this, however often it is done"


class Place(NamedTuple):
    """Where a service stands; messages are their numbers."""

    contents: int
    queues: tuple[tuple[int, ...], ...]  # not yet read, by partition
    unacknowledged: tuple[int, ...] = ()  # a batch that is committed, and nobody knows
    delivered: tuple[int, ...] = ()  # what may be delivered once more

    def unread(self) -> int:
        """Count what is yet to be handled, or to be heard of."""
        return sum(map(len, self.queues)) + len(self.unacknowledged)


class Action(NamedTuple):
    """One thing that may happen to a service. `must`: it will, if nothing else does."""

    tells: str
    next: int
    published: tuple[int, ...]
    cost: int
    must: bool
    violations: tuple[str, ...]


class Member:
    """One service in all the places where it may come; each is worked out once."""

    def __init__(self, service: Service, configuration: Configuration, messages: Messages) -> None:
        self.service = service
        self._fault = configuration.fault
        self._batch_max = configuration.batch_max
        self._is_reduced = configuration.is_reduced
        self._has_deadlines = configuration.has_deadlines and service is Service.ENROLLMENT
        self._messages = messages
        self._effects = Effects(service, configuration, messages)
        self._queue_of: dict[PartitionKey, int] = {}
        self._places: list[Place] = []
        self._place_numbers: dict[Place, int] = {}
        self._actions: list[tuple[Action, ...] | None] = []
        self._appended: dict[tuple[int, tuple[int, ...]], int] = {}
        for key in configuration.partitions_read_by(service):
            self._queue_of[key] = len(self._queue_of)

    # Places

    def start(self, catalog: Sequence[int]) -> int:
        """Give the place of a service that has read its catalogs, and nothing else."""
        contents = self._effects.number(EMPTY)
        read = tuple(number for number in catalog if self.service in self._messages.read[number])
        for number in read:
            contents = self._effects.handle(contents, (number,)).number
        place = Place(contents, ((),) * len(self._queue_of))
        return self._place(place._replace(delivered=read) if self._fault in REPEATING else place)

    def contents(self, place: int) -> Contents:
        """Give what the database holds there."""
        return self._effects.contents(self._places[place].contents)

    def append(self, place: int, messages: tuple[int, ...]) -> int:
        """Give the place once messages have come; those that it does not react to do not count."""
        found = self._appended.get((place, messages))
        if found is None:
            there = self._places[place]
            queues = list(there.queues)
            for number in messages:
                if self.service in self._messages.read[number]:
                    at = self._queue_of[self._messages.partition_keys[number]]
                    queues[at] = (*queues[at], number)
            found = self._place(there._replace(queues=tuple(queues)))
            self._appended[place, messages] = found
        return found

    def _place(self, place: Place) -> int:
        number = self._place_numbers.setdefault(place, len(self._places))
        if number == len(self._places):
            self._places.append(place)
            self._actions.append(None)
        return number

    # What may happen

    def actions(self, place: int) -> tuple[Action, ...]:
        """Give everything that may happen next, but for what would change nothing at all."""
        found = self._actions[place]
        if found is None:
            found = tuple(self._distinct(place))
            self._actions[place] = found
        return found

    def is_quiet(self, place: int) -> bool:
        """Tell whether nothing must happen."""
        return not any(action.must for action in self.actions(place))

    def _distinct(self, place: int) -> Iterator[Action]:
        """Leave out what leads where something else leads that costs no more, and must happen."""
        seen: set[tuple[object, ...]] = {(place, ())}
        for action in sorted(self._all(place), key=lambda one: (one.cost, not one.must)):
            what = (action.next, action.published)
            if action.must and not action.cost and not self._is_progress(place, action):
                yield action._replace(violations=(*action.violations, ENDLESS))
            elif what not in seen or action.violations or not self._is_reduced:
                seen.add(what)
                yield action

    def _is_progress(self, before: int, action: Action) -> bool:
        """Tell whether something is nearer to its end: then all comes to rest, or says for ever.

        More was said than ever; or else fewer rows wait to be published; or else fewer messages
        to be read, and so on. To say for ever is to have states without end.
        """
        was, is_ = self._remaining(before), self._remaining(action.next)
        return is_ < was and (not action.published or is_[:2] < was[:2])

    def _remaining(self, number: int) -> tuple[int, ...]:
        place = self._places[number]
        said, outbox, letters, pending = self._effects.remains(place.contents)
        return -said, outbox, place.unread(), letters, pending

    def _all(self, number: int) -> Iterator[Action]:
        place = self._places[number]
        yield from self._relays(place)
        yield from self._batches(place)
        if place.unacknowledged:
            yield self._handled_again(place)
        if self._has_deadlines:
            yield from self._deadlines(place)
        if self._fault in REPEATING:
            yield from self._repeats(place)
        if self._fault in PARKING:
            yield from self._letters(place)
        if self._fault in AT_ONCE:
            yield from self._rivals(place)

    def _relays(self, place: Place) -> Iterator[Action]:
        waiting = self._effects.remains(place.contents).outbox
        for limit in range(1, min(waiting, self._batch_max) + 1):
            effect = self._effects.relay(place.contents, limit)
            tells = f"{self.service}'s relay publishes"
            yield self._action(tells, place, effect)
            if self._fault is not Fault.CRASH:
                if self._is_reduced:
                    return  # two at once are two, one after the other
                continue
            for at in range(1, effect.awaits + 1):
                struck = self._effects.relay(place.contents, limit, killed_at=at)
                yield self._action(f"{tells} and is killed", place, struck, cost=1)

    def _free(self, place: Place) -> list[tuple[int, ...]]:
        """Give the queues with something to read that nobody is at work on."""
        held = {self._queue_of[self._messages.partition_keys[n]] for n in place.unacknowledged}
        return [queue for n, queue in enumerate(place.queues) if queue and n not in held]

    def _batches(self, place: Place) -> Iterator[Action]:
        for batch in _batches_of(self._free(place), self._batch_max):
            yield from self._handled(place, batch)

    def _handled(self, place: Place, batch: tuple[int, ...]) -> Iterator[Action]:
        handle, contents = self._effects.handle, place.contents
        effect = handle(contents, batch)
        tells = f"{self.service} handles {self._names(batch)}"
        yield self._batch_action(tells, place, batch, effect)
        if self._fault is Fault.CRASH:
            for at in range(1, effect.awaits + 1):
                struck = handle(contents, batch, killed_at=at)
                yield self._action(f"{tells} and is killed", place, struck, cost=1)
            struck = handle(contents, batch, cut_off_at=COMMITTED)
            action = f"{tells}, commits, and never hears of it"
            unaware = place._replace(unacknowledged=batch)
            yield self._action(action, unaware, struck, cost=1)
        if self._fault in PARKING:
            for number in batch:
                raised = handle(contents, batch, poison=number)
                action = f"{tells}: the decision on {self._names((number,))} raises"
                yield self._action(action, place, raised, cost=1)

    def _handled_again(self, place: Place) -> Action:
        """The offsets in the database have moved; whoever does not know that must be refused."""
        batch = place.unacknowledged
        effect = self._effects.handle(place.contents, batch, is_behind=True)
        tells = f"{self.service} tries again to handle {self._names(batch)}"
        return self._action(tells, place._replace(unacknowledged=()), effect)

    def _deadlines(self, place: Place) -> Iterator[Action]:
        for ids in self._overdue(place):
            tells = f"the deadline of {' and '.join(map(short, ids))} passes"
            effect = self._effects.expire(place.contents, ids)
            yield self._action(tells, place, effect)
            if self._fault is Fault.CRASH:
                for at in range(1, effect.awaits + 1):
                    struck = self._effects.expire(place.contents, ids, killed_at=at)
                    yield self._action(f"{tells}; killed at it", place, struck, cost=1)

    def _overdue(self, place: Place) -> list[tuple[EnrollmentId, ...]]:
        """Tell whose deadlines may have passed: of any of those that are pending, or of all."""
        rows = self._effects.contents(place.contents).rows("enrollment")
        pending = [key for key, row in rows.items() if row.state is EnrollmentState.PENDING]
        pending.sort()
        return [(one,) for one in pending] + ([tuple(pending)] if len(pending) > 1 else [])

    def _repeats(self, place: Place) -> Iterator[Action]:
        """Deliver anything once more, alone, twice in a batch, or beside what comes next."""
        heads = [queue[0] for queue in place.queues if queue]
        batches: list[tuple[int, ...]] = [(one,) for one in place.delivered]
        batches += [(one, next_) for one in place.delivered for next_ in heads]
        batches += [(next_, one) for one in place.delivered for next_ in heads]
        batches += [(next_, next_) for next_ in heads]
        for batch in batches:
            read = [n for n in heads if n in batch]
            effect = replace(
                self._effects.handle(place.contents, batch, is_read_again=True),
                moved={self._messages.partition_keys[n]: 1 for n in read},
            )
            tells = f"{self.service} handles {self._names(batch)}, some of it once more"
            yield self._batch_action(tells, place, batch, effect, must=False)

    def _letters(self, place: Place) -> Iterator[Action]:
        letters = self._effects.contents(place.contents).rows("dead_letter")
        for letter in letters.values():
            what = f"{letter.event_type} of {self.service}"
            replayed = self._effects.replay(place.contents, letter.id)
            if replayed.is_allowed:
                yield self._action(f"an operator replays {what}", place, replayed)
            if self._fault is not Fault.DISCARD:
                continue
            discarded = self._effects.discard(place.contents, letter)
            if discarded.is_allowed:
                yield self._action(f"an operator discards {what}", place, discarded, must=False)

    def _rivals(self, place: Place) -> Iterator[Action]:
        """Two processes are at work, or one and an operator, or two operators."""
        for first, second in self._pairs(place):
            for effect in self._effects.together(place.contents, first, second):
                tells = f"{self.service} does at once: {self._tell(first)}; {self._tell(second)}"
                yield self._action(tells, place, effect, must=False)

    def _pairs(self, place: Place) -> Iterator[tuple[Task, Task]]:
        """Each process reads partitions of its own, and sees all deadlines pass."""
        reading = [
            [Task(batch) for batch in _batches_of([queue], self._batch_max)]
            for queue in self._free(place)
        ]
        letters = self._effects.contents(place.contents).rows("dead_letter")
        shared = [Task(letter=letter) for letter in letters]
        if self._has_deadlines:
            shared += [Task(overdue=ids) for ids in self._overdue(place)]
        if self._fault is Fault.RIVALS:
            yield from (pair for two in combinations(reading, 2) for pair in product(*two))
        yield from ((task, one) for tasks in reading for task in tasks for one in shared)
        yield from combinations_with_replacement(shared, 2)

    # Making actions

    def _batch_action(
        self,
        tells: str,
        place: Place,
        batch: tuple[int, ...],
        effect: Effect,
        *,
        must: bool = True,
    ) -> Action:
        if self._fault in REPEATING:
            delivered = tuple(sorted({*place.delivered, *batch}))
            place = place._replace(delivered=delivered)
        return self._action(tells, place, effect, must=must)

    def _action(
        self, tells: str, place: Place, effect: Effect, *, cost: int = 0, must: bool = True
    ) -> Action:
        queues = list(place.queues)
        for key, count in effect.moved.items():
            at = self._queue_of[key]
            queues[at] = queues[at][count:]
        published = tuple(map(self._messages.of_row, effect.published))
        said = [*effect.tells, *(f"publishes {self._messages.tells[n]}" for n in published)]
        return Action(
            "\n".join([tells, *said]),
            self._place(place._replace(contents=effect.number, queues=tuple(queues))),
            published,
            cost,
            must,
            tuple(effect.violations),
        )

    def _names(self, batch: tuple[int, ...]) -> str:
        return " and ".join(self._messages.tells[number] for number in batch)

    def _tell(self, task: Task) -> str:
        if task.batch:
            return f"handles {self._names(task.batch)}"
        if task.overdue:
            return f"sees the deadline of {' and '.join(map(short, task.overdue))} pass"
        return f"an operator replays dead letter {task.letter}"


def _batches_of(queues: Sequence[tuple[int, ...]], count_max: int) -> Iterator[tuple[int, ...]]:
    """Give every batch that may be read: of any queues, in any order but that of each queue."""
    if count_max == 0:
        return
    for at, queue in enumerate(queues):
        if queue:
            yield queue[:1]
            left = [*queues[:at], queue[1:], *queues[at + 1 :]]
            for more in _batches_of(left, count_max - 1):
                yield queue[:1] + more
