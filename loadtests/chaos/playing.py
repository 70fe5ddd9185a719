"""Plays the faults of a plan on time, and heals all of them at the end."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from time import sleep, time
from typing import Final

from loadtests.chaos.inflicting import Inflicter
from loadtests.chaos.plan import INSTANT, Fault
from loadtests.chaos.playground import Playground, Say
from loadtests.chaos.recovery import LoadClient
from loadtests.chaos.report import Tally

FIND_AGAIN_SECONDS: Final = 0.2
FIND_SECONDS_MAX: Final = 15.0  # a process that is down is killed when it runs, or not at all
TICK_SECONDS: Final = 0.05
NEWS_SECONDS: Final = 10.0


@dataclass(order=True)
class _Due:
    """A fault that begins, or ends, at a moment; `token` tells faults apart."""

    at: float
    token: int
    is_end: bool = False
    fault: Fault = field(compare=False, kw_only=True)
    give_up_at: float = field(compare=False, kw_only=True)


class Storm:
    """Plays the faults of a plan on time, one after the other, on the caller's thread."""

    def __init__(self, ground: Playground, clients: Sequence[LoadClient], say: Say) -> None:
        self._ground = ground
        self._clients = clients
        self._say = say
        self._inflicter = Inflicter(ground)
        self._due: list[_Due] = []
        self._tally = Tally()
        self._told_at = time()

    def play(self, faults: list[Fault]) -> Tally:
        """Play everything; whatever happens, all is healed at the end."""
        self._tally.began_at = time()
        for token, fault in enumerate(faults):
            at = self._tally.began_at + fault.at_seconds
            heappush(self._due, _Due(at, token, fault=fault, give_up_at=at + FIND_SECONDS_MAX))
        try:
            while self._due:
                self._do_next()
        finally:
            for due in self._due:
                if due.is_end:
                    self._inflicter.end(due.token, due.fault)
            self._tally.last_fault_at = time()
            self._ground.journal.note("healed")
        return self._tally

    def _do_next(self) -> None:
        now = time()
        for client in self._clients:
            client.raise_if_failed()
        self._tell_if_due(now)
        if self._due[0].at > now:
            sleep(min(TICK_SECONDS, self._due[0].at - now))
            return
        due = heappop(self._due)
        if due.is_end:
            self._inflicter.end(due.token, due.fault)
            self._note("end", due)
        elif self._inflicter.begin(due.token, due.fault):
            self._begun(due, now)
        elif now < due.give_up_at:
            due.at = now + FIND_AGAIN_SECONDS
            heappush(self._due, due)
        else:
            self._tally.missed += 1
            self._note("missed", due)

    def _begun(self, due: _Due, now: float) -> None:
        self._tally.inflicted[due.fault.kind, due.fault.target] += 1
        self._note("begin", due)
        if due.fault.kind not in INSTANT:
            due.at, due.is_end = now + due.fault.duration_seconds, True
            heappush(self._due, due)

    def _note(self, what: str, due: _Due) -> None:
        fault = due.fault
        self._ground.journal.note(
            what,
            fault=due.token,
            kind=fault.kind,
            target=fault.target,
            planned_at_seconds=fault.at_seconds,
            duration_seconds=fault.duration_seconds,
        )

    def _tell_if_due(self, now: float) -> None:
        if now - self._told_at < NEWS_SECONDS:
            return
        self._told_at = now
        tally = self._tally
        self._say(
            f"{now - tally.began_at:5.0f} s  faults {tally.inflicted.total()}  "
            f"kills {tally.kills}  {'  '.join(client.news() for client in self._clients)}"
        )
