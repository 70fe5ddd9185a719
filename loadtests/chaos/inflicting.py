"""Does to processes and links what a plan says, and heals all of it."""

import signal
from dataclasses import dataclass, field
from typing import Final, assert_never

import psutil
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.local import processes, state
from deploy.local.processes import Identity
from loadtests.chaos.plan import Fault, Kind
from loadtests.chaos.playground import POSTGRES, Playground
from loadtests.chaos.proxy import Trouble

FLUSH_SECONDS: Final = 0.2  # all other faults wait for it
TROUBLES: Final = {Kind.CUT: Trouble.CUT, Kind.STALL: Trouble.STALL, Kind.MUTE: Trouble.MUTE}


@dataclass
class Inflicter:
    """Signals only processes that the supervisor of this stack has started, and their children."""

    ground: Playground
    _stopped: dict[int, list[Identity]] = field(default_factory=dict)
    _held: dict[str, int] = field(default_factory=dict)  # how many faults keep it away

    def identity(self, name: str) -> Identity | None:
        """Give the process that a service or server has now; None while there is none."""
        known = state.load(self.ground.state_dir)
        record = (known.servers | known.services).get(name)
        if record is None or not processes.is_alive(record.identity):
            return None
        return record.identity

    def begin(self, token: int, fault: Fault) -> bool:
        """Begin a fault under a token; false if there is no process to begin it with."""
        match fault.kind:
            case Kind.KILL:
                return self.send(fault.target, signal.SIGKILL) is not None
            case Kind.FLUSH:
                return _flush(self.ground.redis_url)
            case Kind.STOP:
                return self._stop(token, fault.target)
            case Kind.LEAVE:
                self.hold(fault.target)
                self.send(fault.target, signal.SIGTERM)
            case Kind.CUT | Kind.STALL | Kind.MUTE:
                self.ground.proxy.inflict(fault.target, token, TROUBLES[fault.kind])
            case _ as never:
                assert_never(never)
        return True

    def end(self, token: int, fault: Fault) -> None:
        """End a fault that was begun."""
        match fault.kind:
            case Kind.KILL | Kind.FLUSH:
                return  # what was killed is started again, and what was forgotten stays so
            case Kind.STOP:
                self._go_on(token)
            case Kind.LEAVE:
                self.release(fault.target)
            case Kind.CUT | Kind.STALL | Kind.MUTE:
                self.ground.proxy.lift(fault.target, token)
            case _ as never:
                assert_never(never)

    def send(self, name: str, number: signal.Signals) -> Identity | None:
        """Send a signal to the process that a service or server has now, if there is one."""
        identity = self.identity(name)
        if identity is not None:
            processes.send(identity, number)
        return identity

    def hold(self, name: str) -> None:
        """Have the supervisor leave a process down once it has ended."""
        hold = state.hold_file(self.ground.state_dir, name)
        hold.parent.mkdir(exist_ok=True)
        hold.touch()
        self._held[name] = self._held.get(name, 0) + 1

    def release(self, name: str) -> None:
        """Have the supervisor start it again, unless another fault holds it."""
        self._held[name] = self._held.get(name, 1) - 1
        if self._held[name] <= 0:
            state.hold_file(self.ground.state_dir, name).unlink(missing_ok=True)

    def _stop(self, token: int, name: str) -> bool:
        identity = self.send(name, signal.SIGSTOP)
        if identity is None:
            return False
        self._stopped[token] = [identity]
        if name == POSTGRES:  # each session has a process of its own; no new ones come now
            children = _children(identity)
            self._stopped[token] += children
            for child in children:
                processes.send(child, signal.SIGSTOP)
        return True

    def _go_on(self, token: int) -> None:
        for identity in reversed(self._stopped.pop(token, [])):
            processes.send(identity, signal.SIGCONT)


def _flush(redis_url: str) -> bool:
    """Have Redis forget everything; false where it does not answer."""
    once = Retry(NoBackoff(), 0)
    try:
        with redis.Redis.from_url(
            redis_url,
            retry=once,
            socket_timeout=FLUSH_SECONDS,
            socket_connect_timeout=FLUSH_SECONDS,
        ) as client:
            return bool(client.flushall())
    except (redis.RedisError, OSError):
        return False


def _children(parent: Identity) -> list[Identity]:
    try:
        children = psutil.Process(parent.pid).children(recursive=True)
        return [Identity(pid=child.pid, created=child.create_time()) for child in children]
    except psutil.NoSuchProcess:
        return []
