"""Replays dead letters again and again, or gives them up where that is allowed."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from random import Random
from typing import Any, Final

import asyncpg

from services.simulation.database import MemoryDatabase
from services.simulation.letters import MemoryLetters
from services.simulation.runtime import event_id_at, moment, sleep
from services.simulation.scheduler import Scheduler, Task, pause
from services.simulation.unit import MemoryUnit
from services.simulation.wiring import Poisoned, SimulatedParts
from shared.choreography import Service
from shared.dead_letter import OUTCOME_NEEDED, UNREADABLE, DeadLetter, discard, replay
from shared.errors import DeadLetterError
from shared.identifiers import EventId
from shared.retry import is_transient_database_error

PAUSE_SECONDS: Final = 1.0
NAME: Final = "operator"

End = Callable[[MemoryLetters, MemoryUnit, DeadLetter, Any], Awaitable[None]]


class Operator:
    """Somebody with the `enroll` command; no fault strikes her, but the servers' outages do."""

    is_dead = False

    def __init__(
        self,
        scheduler: Scheduler,
        random: Random,
        databases: Mapping[Service, MemoryDatabase],
        parts: Mapping[Service, SimulatedParts],
        given_up: Poisoned,
    ) -> None:
        self._scheduler = scheduler
        self._random = random
        self._databases = databases
        self._parts = parts
        self._given_up = given_up
        self._task = Task(scheduler, self._work())
        self._task.done.waiting.append(self._task.done.result)  # an error of hers ends the history

    def stop(self) -> None:
        """End it."""
        self._task.done.waiting.clear()
        self._task.kill()

    async def reach(self, _point: str) -> None:
        """Let time pass."""
        await pause(int(self._random.random() * 1000) + 1)

    async def _work(self) -> None:
        while True:
            for service, database in self._databases.items():
                for letter in list(database.rows("dead_letter").values()):
                    await self._end(service, letter)
            await sleep(PAUSE_SECONDS)

    async def _end(self, service: Service, letter: DeadLetter) -> None:
        """Give it up or replay it; what fails for now is tried again later."""
        what = letter.event_type or UNREADABLE
        if what == UNREADABLE or (what, letter.enrollment_id) in self._given_up:
            is_ended = await self._try(partial(self._discard, what), service, letter)
            if is_ended or what == UNREADABLE:
                return
        await self._try(self._replay, service, letter)

    async def _try(self, end: End, service: Service, letter: DeadLetter) -> bool:
        parts = self._parts[service]
        transaction = self._databases[service].transaction(self)
        try:
            async with MemoryUnit(transaction, parts.load, parts.save, self._new_event_id) as unit:
                await end(MemoryLetters(transaction), unit, letter, parts.reactions)
        except (DeadLetterError, asyncpg.DataError):
            return False  # it is not mended yet, or gone with the letter before it, or not allowed
        except Exception as error:
            if not is_transient_database_error(error):
                raise
            return False
        return True

    async def _replay(
        self, letters: MemoryLetters, unit: MemoryUnit, letter: DeadLetter, reactions: Any
    ) -> None:
        await replay(letters, unit, letter.id, reactions, operator=NAME, now=self._now())

    async def _discard(
        self,
        what: str,
        letters: MemoryLetters,
        unit: MemoryUnit,
        letter: DeadLetter,
        reactions: Any,
    ) -> None:
        outcome = OUTCOME_NEEDED.get(what)
        now = self._now()
        await discard(letters, unit, letter.id, reactions, outcome=outcome, operator=NAME, now=now)

    def _now(self) -> datetime:
        return moment(self._scheduler.now_us)

    def _new_event_id(self) -> EventId:
        return event_id_at(self._scheduler.now_us, self._random)
