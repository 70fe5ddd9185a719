"""What may come of what a service's database holds; each is worked out once, and has a number."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from services.enrollment.model import EnrollmentState
from services.simulation.explorer.configuration import Configuration, Fault
from services.simulation.explorer.contents import Contents, overdue
from services.simulation.explorer.messages import Messages
from services.simulation.explorer.rivals import Work
from services.simulation.explorer.transactions import Effect, Passer, Transactions, expire
from shared.choreography import Service
from shared.dead_letter import DeadLetter
from shared.identifiers import EnrollmentId


class Task(NamedTuple):
    """A transaction that may be at work beside another; does the first of these that is there."""

    batch: tuple[int, ...] = ()
    overdue: tuple[EnrollmentId, ...] = ()
    letter: int = 0  # to be replayed


class Remains(NamedTuple):
    """How much is left to do in a database, and how much has ever been said."""

    said: int
    outbox: int
    letters: int
    pending: int


class Effects:
    """Leads from contents to contents, by their numbers."""

    def __init__(self, service: Service, configuration: Configuration, messages: Messages) -> None:
        self._service = service
        self._messages = messages
        self._is_reduced = configuration.is_reduced
        self._work = Transactions(
            service,
            has_inbox=configuration.fault is not Fault.NO_INBOX,
            keeps_numbers=not configuration.is_reduced,
        )
        self._contents: list[Contents] = []
        self._remains: list[Remains] = []
        self._numbers: dict[object, int] = {}
        self._known: dict[object, Effect] = {}
        self._together: dict[object, list[Effect]] = {}

    def number(self, contents: Contents) -> int:
        """Give the number of contents."""
        number = self._numbers.setdefault(contents.key(), len(self._contents))
        if number == len(self._contents):
            self._contents.append(contents)
            self._remains.append(_remains(contents))
        return number

    def contents(self, number: int) -> Contents:
        """Give the contents of this number."""
        return self._contents[number]

    def remains(self, number: int) -> Remains:
        """Tell what is left to do."""
        return self._remains[number]

    def handle(
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
        """Handle a batch."""
        what = (contents, batch, killed_at, cut_off_at, poison, is_behind, is_read_again)
        read = self._messages.read
        return self._once(
            what,
            lambda: self._work.handle(
                self._contents[contents],
                [read[number][self._service] for number in batch],
                Passer(killed_at, cut_off_at),
                poison=None if poison is None else read[poison][self._service],
                is_behind=is_behind,
                is_read_again=is_read_again,
            ),
        )

    def relay(self, contents: int, limit: int, *, killed_at: int = 0) -> Effect:
        """Publish the oldest rows."""
        return self._once(
            ("relay", contents, limit, killed_at),
            lambda: self._work.relay(self._contents[contents], limit, Passer(killed_at)),
        )

    def expire(self, contents: int, ids: tuple[EnrollmentId, ...], *, killed_at: int = 0) -> Effect:
        """Let deadlines pass."""
        return self._once(
            ("expire", contents, ids, killed_at),
            lambda: self._work.expire(self._contents[contents], ids, Passer(killed_at)),
        )

    def replay(self, contents: int, letter: int) -> Effect:
        """Replay a dead letter."""
        what = ("replay", contents, letter)
        return self._once(what, partial(self._work.replay, self._contents[contents], letter))

    def discard(self, contents: int, letter: DeadLetter) -> Effect:
        """Give a dead letter up."""
        what = ("discard", contents, letter.id)
        return self._once(what, partial(self._work.discard, self._contents[contents], letter))

    def together(self, contents: int, first: Task, second: Task) -> list[Effect]:
        """Do two things at once; what one after the other comes to as well is left out."""
        what = (contents, first, second)
        if what not in self._together:
            self._together[what] = list(self._new_together(contents, first, second))
        return self._together[what]

    def _new_together(self, contents: int, first: Task, second: Task) -> Iterator[Effect]:
        known = {(contents, frozenset[object]())}
        if self._is_reduced:
            for order in ((first, second), (second, first)):
                known |= set(self._ends_of(contents, order))
        before = self._contents[contents]
        tables = overdue(before, (*first.overdue, *second.overdue))
        works = (self._work_of(first), self._work_of(second))
        for effect in self._work.together(before, *works, tables):
            effect.number = self.number(effect.contents)
            end = (effect.number, frozenset[object](effect.moved.items()))
            if end not in known or effect.violations:
                known.add(end)
                yield effect

    def _ends_of(
        self, contents: int, order: Sequence[Task]
    ) -> Iterator[tuple[int, frozenset[object]]]:
        moved: dict[object, int] = {}
        for task in order:
            effect = self._alone(contents, task)
            contents = effect.number
            moved.update(effect.moved)
            yield contents, frozenset(moved.items())

    def _alone(self, contents: int, task: Task) -> Effect:
        if task.batch:
            return self.handle(contents, task.batch)
        if task.overdue:
            return self.expire(contents, task.overdue)
        return self.replay(contents, task.letter)

    def _work_of(self, task: Task) -> Work:
        if task.batch:
            read = self._messages.read
            return self._work.handling([read[number][self._service] for number in task.batch])
        return expire if task.overdue else self._work.replaying(task.letter)

    def _once(self, what: object, make: Callable[[], Effect]) -> Effect:
        found = self._known.get(what)
        if found is None:
            found = make()
            found.number = self.number(found.contents)
            self._known[what] = found
        return found


def _remains(contents: Contents) -> Remains:
    enrollments = contents.rows("enrollment").values()
    return Remains(
        sum(contents.said.values()),
        len(contents.rows("outbox")),
        len(contents.rows("dead_letter")),
        sum(row.state is EnrollmentState.PENDING for row in enrollments),
    )
