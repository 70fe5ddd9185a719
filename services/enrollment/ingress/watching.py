"""Waits for changes of enrollments: one look at the view for all who wait, every so often."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.view.model import Happening, Status, ViewedEnrollment
from services.enrollment.ingress.view.reader import View
from services.enrollment.ingress.view.steps import awaits_answers
from shared.events import ReasonCode
from shared.identifiers import EnrollmentId

LOGGER: Final = logging.getLogger(__name__)
POLL_SECONDS: Final = 0.05
LINGER_SECONDS: Final = 2.0  # for what should still come to an enrollment that is over
UNSEEN: Final = -1
ENDED: Final = frozenset({Status.CONFIRMED, Status.REJECTED, Status.CANCELLED})


@dataclass(slots=True)
class _Watched:
    """One enrollment for all who watch it; `changed` is replaced when it is set."""

    mark: int = UNSEEN
    latest: ViewedEnrollment | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    watchers: int = 0

    def show(self, mark: int, latest: ViewedEnrollment) -> None:
        """Let everybody see what it has become."""
        self.mark, self.latest = mark, latest
        self.changed.set()
        self.changed = asyncio.Event()


class Watch:
    """Looks at what is watched, and not at all while nobody waits.

    While the view does not answer, those who wait go on to wait.
    """

    def __init__(
        self,
        view: View,
        watchers_max: int,
        *,
        poll_seconds: float = POLL_SECONDS,
        linger_seconds: float = LINGER_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._view = view
        self._watchers_max = watchers_max
        self._poll_seconds = poll_seconds
        self._linger_seconds = linger_seconds
        self._monotonic = monotonic
        self._watched: dict[EnrollmentId, _Watched] = {}
        self._looking: asyncio.Task[None] | None = None
        self.watchers = 0

    async def until_ended(
        self,
        enrollment_id: EnrollmentId,
        seconds: float,
        *,
        statuses: Collection[Status] = ENDED,
    ) -> ViewedEnrollment | None:
        """Wait until it has one of these statuses; None where that takes longer.

        None at once, too, where too many wait already: whoever asked can look later.
        """
        if self._is_full():
            return None
        try:
            async with asyncio.timeout(seconds):
                with self._watching(enrollment_id) as watched:
                    while True:
                        changed, latest = watched.changed, watched.latest
                        if latest is not None and latest.status in statuses:
                            return latest
                        await changed.wait()
        except TimeoutError:
            return None

    def changes(
        self, enrollment_id: EnrollmentId, after: int
    ) -> AsyncIterator[tuple[int, Happening]]:
        """Give what happens after happening number `after`, until nothing more is to come.

        A Problem where too many wait already.
        """
        if self._is_full():
            raise Problem(ProblemType.OVERLOADED, "too many wait for changes: poll, or come later")
        return self._changes(enrollment_id, after)

    async def _changes(
        self, enrollment_id: EnrollmentId, number: int
    ) -> AsyncIterator[tuple[int, Happening]]:
        with self._watching(enrollment_id) as watched:
            while True:
                changed, latest = watched.changed, watched.latest
                if latest is not None and latest.happenings is None:
                    return
                for happening in (latest.happenings or ())[number:] if latest else ():
                    number += 1
                    yield number, _for_students(happening)
                if watched.changed is not changed:
                    continue
                if latest is None or latest.settled_at is None:
                    await changed.wait()
                elif not awaits_answers(latest) or not await self._lingers(changed):
                    return

    async def stop(self) -> None:
        """Look no more, and have the database's connection back before it is closed."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def _lingers(self, changed: asyncio.Event) -> bool:
        """Wait a moment longer; tell whether something has come."""
        try:
            async with asyncio.timeout(self._linger_seconds):
                return await changed.wait()
        except TimeoutError:
            return False

    def _is_full(self) -> bool:
        return self.watchers >= self._watchers_max

    @contextmanager
    def _watching(self, enrollment_id: EnrollmentId) -> Iterator[_Watched]:
        watched = self._watched.setdefault(enrollment_id, _Watched())
        watched.watchers += 1
        self.watchers += 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_while_anybody_waits())
        try:
            yield watched
        finally:
            watched.watchers -= 1
            self.watchers -= 1
            if watched.watchers == 0:
                del self._watched[enrollment_id]

    async def _look_while_anybody_waits(self) -> None:
        try:
            while self._watched:
                began_seconds = self._monotonic()
                await self._look()
                spent_seconds = self._monotonic() - began_seconds
                await asyncio.sleep(max(0.0, self._poll_seconds - spent_seconds))
        finally:
            self._looking = None

    async def _look(self) -> None:
        marks = {enrollment_id: watched.mark for enrollment_id, watched in self._watched.items()}
        try:
            found = await self._view.find_changed(marks)
        except Problem as problem:
            LOGGER.debug("those who wait for changes wait on: %s", problem)
            return
        except Exception:
            LOGGER.exception("those who wait for changes see none")
            return
        for mark, enrollment in found:
            watched = self._watched.get(enrollment.enrollment_id)
            if watched is not None:
                watched.show(mark, enrollment)


def _for_students(happening: Happening) -> Happening:
    """Leave out what tells of the saga's inside: the seats were refused since it was over."""
    shown = tuple(one for one in happening.reasons if one.code != ReasonCode.ALREADY_RELEASED)
    return happening if shown == happening.reasons else replace(happening, reasons=shown)
