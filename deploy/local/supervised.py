"""One process under supervision: started, found ready, and started again when it dies."""

import time
from collections.abc import Callable

from deploy.local.errors import with_log
from deploy.local.processes import Child, ProcessSpec
from deploy.local.state import ProcessState, Record

YOUNG_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0
# What ends this often while the stack starts has a fault that waiting does not mend.
HOPELESS_DEATHS = 5


def pause_seconds(young_deaths: int) -> float:
    """No pause after the first death, then 0.1 s, doubling up to 10 s."""
    if young_deaths <= 1:
        return 0.0
    return float(min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(young_deaths - 2, 10)))


class Supervised:
    def __init__(self, spec: ProcessSpec, is_held: Callable[[], bool]) -> None:
        self.spec = spec
        self.state = ProcessState.STOPPED
        self.child: Child | None = None
        self.young_deaths = 0
        self._is_held = is_held
        self._start_at = 0.0

    def tick(self) -> None:
        """Does what is due now; to be called often."""
        if self.child is not None and self.child.has_exited():
            self._note_death(self.child.started_at)
            self.child = None
        if self.child is None:
            self._start_if_due()
        elif self.state is ProcessState.STARTING and self.spec.is_ready():
            self.state = ProcessState.READY

    def _note_death(self, started_at: float) -> None:
        now = time.monotonic()
        is_young = now - started_at < YOUNG_SECONDS
        self.young_deaths = self.young_deaths + 1 if is_young else 0
        self._start_at = now + pause_seconds(self.young_deaths)

    def _start_if_due(self) -> None:
        if self._is_held():
            self.state = ProcessState.STOPPED
        elif time.monotonic() < self._start_at:
            self.state = ProcessState.BACKING_OFF
        else:
            self._start()

    def _start(self) -> None:
        try:
            self.child = Child(self.spec)
        except OSError as error:  # no memory for another process, perhaps
            with self.spec.log.open("a") as file:
                file.write(f"{self.spec.name} could not be started: {error}\n")
            self._note_death(time.monotonic())
        self.state = ProcessState.STARTING

    def mark_stopped(self) -> None:
        self.child = None
        self.state = ProcessState.STOPPED

    def is_ready(self) -> bool:
        return self.state is ProcessState.READY

    def raise_if_hopeless(self) -> None:
        if self.young_deaths >= HOPELESS_DEATHS:
            raise with_log(f"{self.spec.name} keeps ending at its start.", self.spec.log)

    def record(self) -> Record:
        identity = self.child.identity if self.child is not None else None
        spec = self.spec
        return Record(identity=identity, state=self.state, url=spec.url, http_url=spec.http_url)
