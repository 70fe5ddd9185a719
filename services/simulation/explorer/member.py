"""A service with what it has yet to read, and everything that may happen to it next."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import permutations
from typing import Final, NamedTuple

from services.enrollment.model import EnrollmentState
from services.simulation.explorer.configuration import Configuration, Fault
from services.simulation.explorer.contents import EMPTY, Contents
from services.simulation.explorer.messages import Messages
from services.simulation.explorer.transactions import COMMITTED, Effect, Passer, Transactions
from services.simulation.oracle import short
from shared.choreography import Service
from shared.identifiers import EnrollmentId, PartitionKey

BATCH: Final = 2
REPEATING: Final = frozenset({Fault.REPEATS, Fault.NO_INBOX})
PARKING: Final = frozenset({Fault.POISON, Fault.DISCARD})


class Place(NamedTuple):
    """Where a service stands; messages are their numbers."""

    contents: int
    queues: tuple[tuple[int, ...], ...]  # not yet read, by partition
    unacknowledged: tuple[int, ...] = ()  # a batch that is committed, and nobody knows
    delivered: tuple[int, ...] = ()  # what may be delivered once more


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
        self._configuration = configuration
        self._fault = configuration.fault
        self._messages = messages
        self._work = Transactions(service, has_inbox=self._fault is not Fault.NO_INBOX)
        self._queue_of: dict[PartitionKey, int] = {}
        self._contents: list[Contents] = []
        self._contents_numbers: dict[object, int] = {}
        self._places: list[Place] = []
        self._place_numbers: dict[Place, int] = {}
        self._actions: list[tuple[Action, ...] | None] = []
        self._appended: dict[tuple[int, tuple[int, ...]], int] = {}
        self._effects: dict[object, Effect] = {}
        for key in configuration.partitions_read_by(service):
            self._queue_of[key] = len(self._queue_of)

    # Numbers

    def start(self, catalog: Sequence[int]) -> int:
        """Give the place of a service that has read its catalogs, and nothing else."""
        contents = EMPTY
        read = [number for number in catalog if self.service in self._messages.read[number]]
        for number in read:
            arrival = self._messages.read[number][self.service]
            contents = self._work.handle(contents, [arrival], Passer()).contents
        place = Place(self._number(contents), ((),) * len(self._queue_of))
        if self._fault in REPEATING:
            place = place._replace(delivered=tuple(read))
        return self._place(place)

    def contents(self, place: int) -> Contents:
        """Give what the database holds there."""
        return self._contents[self._places[place].contents]

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

    def _number(self, contents: Contents) -> int:
        number = self._contents_numbers.setdefault(contents.key(), len(self._contents))
        if number == len(self._contents):
            self._contents.append(contents)
        return number

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
        """Without a fault comes first: one that leads to the same place leaves less to go wrong."""
        seen: set[tuple[object, ...]] = {(place, ())}
        for action in self._all(place):
            what = (action.next, action.published)
            if action.must and not action.cost and what == (place, ()):
                stuck = (*action.violations, "7: this changes nothing, however often it is done")
                yield action._replace(violations=stuck)
            elif what not in seen or action.violations:
                seen.add(what)
                yield action

    def _all(self, number: int) -> Iterator[Action]:
        place = self._places[number]
        yield from self._relays(place)
        yield from self._batches(place)
        if place.unacknowledged:
            yield self._handled_again(place)
        if self._configuration.has_deadlines and self.service is Service.ENROLLMENT:
            yield from self._deadlines(place)
        if self._fault in REPEATING:
            yield from self._repeats(place)
        if self._fault in PARKING:
            yield from self._letters(place)

    def _relays(self, place: Place) -> Iterator[Action]:
        waiting = len(self._contents[place.contents].rows("outbox"))
        for limit in range(1, min(waiting, BATCH) + 1):
            effect = self._relayed(place.contents, limit)
            tells = f"{self.service}'s relay publishes"
            yield self._action(tells, place, effect)
            if self._fault is not Fault.CRASH:
                return  # two at once are two, one after the other
            for at in range(1, effect.awaits + 1):
                struck = self._relayed(place.contents, limit, killed_at=at)
                yield self._action(f"{tells} and is killed", place, struck, cost=1)

    def _relayed(self, contents: int, limit: int, *, killed_at: int = 0) -> Effect:
        return self._effect(
            ("relay", contents, limit, killed_at),
            lambda: self._work.relay(self._contents[contents], limit, Passer(killed_at)),
        )

    def _batches(self, place: Place) -> Iterator[Action]:
        held = {self._queue_of[self._messages.partition_keys[n]] for n in place.unacknowledged}
        free = [n for n, queue in enumerate(place.queues) if queue and n not in held]
        for at in free:
            queue = place.queues[at]
            for count in range(1, min(len(queue), BATCH) + 1):
                yield from self._handled(place, queue[:count])
        for first, second in permutations(free, 2):
            yield from self._handled(place, (place.queues[first][0], place.queues[second][0]))

    def _handled(self, place: Place, batch: tuple[int, ...]) -> Iterator[Action]:
        effect = self._batch_effect(place.contents, batch)
        tells = f"{self.service} handles {self._names(batch)}"
        yield self._batch_action(tells, place, batch, effect)
        if self._fault is Fault.CRASH:
            for at in range(1, effect.awaits + 1):
                struck = self._batch_effect(place.contents, batch, killed_at=at)
                yield self._action(f"{tells} and is killed", place, struck, cost=1)
            struck = self._batch_effect(place.contents, batch, cut_off_at=COMMITTED)
            action = f"{tells}, commits, and never hears of it"
            unaware = place._replace(unacknowledged=batch)
            yield self._action(action, unaware, struck, cost=1)
        if self._fault in PARKING:
            for number in batch:
                raised = self._batch_effect(place.contents, batch, poison=number)
                action = f"{tells}: the decision on {self._names((number,))} raises"
                yield self._action(action, place, raised, cost=1)

    def _handled_again(self, place: Place) -> Action:
        """The offsets in the database have moved; whoever does not know that must be refused."""
        batch = place.unacknowledged
        effect = self._batch_effect(place.contents, batch, is_behind=True)
        tells = f"{self.service} tries again to handle {self._names(batch)}"
        return self._action(tells, place._replace(unacknowledged=()), effect)

    def _deadlines(self, place: Place) -> Iterator[Action]:
        rows = self._contents[place.contents].rows("enrollment")
        pending = tuple(
            sorted(key for key, row in rows.items() if row.state is EnrollmentState.PENDING)
        )
        choices = [(one,) for one in pending] + ([pending] if len(pending) > 1 else [])
        for ids in choices:
            tells = f"the deadline of {' and '.join(map(short, ids))} passes"
            effect = self._expired(place.contents, ids)
            yield self._action(tells, place, effect)
            if self._fault is Fault.CRASH:
                for at in range(1, effect.awaits + 1):
                    struck = self._expired(place.contents, ids, killed_at=at)
                    yield self._action(f"{tells}; killed at it", place, struck, cost=1)

    def _expired(
        self, contents: int, ids: tuple[EnrollmentId, ...], *, killed_at: int = 0
    ) -> Effect:
        return self._effect(
            ("expire", contents, ids, killed_at),
            lambda: self._work.expire(self._contents[contents], ids, Passer(killed_at)),
        )

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
                self._batch_effect(place.contents, batch, is_read_again=True),
                moved={self._messages.partition_keys[n]: 1 for n in read},
            )
            tells = f"{self.service} handles {self._names(batch)}, some of it once more"
            yield self._batch_action(tells, place, batch, effect, must=False)

    def _letters(self, place: Place) -> Iterator[Action]:
        contents = self._contents[place.contents]
        for number, letter in contents.rows("dead_letter").items():
            what = f"{letter.event_type} of {self.service}"
            replayed = self._effect(
                ("replay", place.contents, number), partial(self._work.replay, contents, letter)
            )
            if replayed.is_allowed:
                yield self._action(f"an operator replays {what}", place, replayed)
            if self._fault is not Fault.DISCARD:
                continue
            discarded = self._effect(
                ("discard", place.contents, number), partial(self._work.discard, contents, letter)
            )
            if discarded.is_allowed:
                yield self._action(f"an operator discards {what}", place, discarded, must=False)

    # Making actions

    def _batch_effect(
        self,
        contents: int,
        batch: tuple[int, ...],
        *,
        killed_at: int = 0,
        cut_off_at: str = "",
        poison: int | None = None,
        is_behind: bool = False,
        is_read_again: bool = False,
    ) -> Effect:
        def handle() -> Effect:
            read = self._messages.read
            return self._work.handle(
                self._contents[contents],
                [read[number][self.service] for number in batch],
                Passer(killed_at, cut_off_at),
                poison=None if poison is None else read[poison][self.service],
                is_behind=is_behind,
                is_read_again=is_read_again,
            )

        what = (contents, batch, killed_at, cut_off_at, poison, is_behind, is_read_again)
        return self._effect(what, handle)

    def _effect(self, what: object, make: Callable[[], Effect]) -> Effect:
        found = self._effects.get(what)
        if found is None:
            found = make()
            found.number = self._number(found.contents)
            self._effects[what] = found
        return found

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
