"""Child processes in groups of their own that never outlive us, and safe ways to stop them."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from pydantic import BaseModel

from deploy.local.errors import with_log

POLL_SECONDS = 0.02
KILL_SECONDS = 5.0
PR_SET_PDEATHSIG = 1
# The start time is counted from the boot time, which the kernel may round differently each time.
CREATED_TOLERANCE_SECONDS = 2.0

_LIBC = ctypes.CDLL(None, use_errno=True)


class Identity(BaseModel, frozen=True):
    """A process for sure: a pid alone may have been given to another one since."""

    pid: int
    created: float


@dataclass(frozen=True)
class Account:
    uid: int
    gid: int


@dataclass(frozen=True)
class ProcessSpec:
    """Everything needed to start, watch and stop one process."""

    name: str
    command: Sequence[str]
    log: Path
    url: str
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    account: Account | None = None
    directory: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    orphan_signal: signal.Signals = signal.SIGKILL
    http_url: str | None = None  # where it serves clients, if it does


class Child:
    """A running process of ours; start it from a thread that lives as long as we do.

    The kernel ends a child when the thread that started it ends, however that happens.
    """

    def __init__(self, spec: ProcessSpec) -> None:
        self.spec = spec
        self.started_at = time.monotonic()
        self._popen = _spawn(spec)
        self.identity = identify(self._popen.pid)

    def has_exited(self) -> bool:
        """True once it has ended; then nothing of its group is left either."""
        if self._popen.returncode is not None:
            return True
        ended = os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return False
        self._bury()
        return True

    def _bury(self) -> None:
        # Before it is reaped its pid, and so the number of its group, cannot be given to others.
        _kill_group(self._popen.pid)
        self._popen.wait(KILL_SECONDS)

    @property
    def exit_code(self) -> int | None:
        return self._popen.returncode


def _spawn(spec: ProcessSpec) -> "subprocess.Popen[bytes]":
    spec.log.parent.mkdir(parents=True, exist_ok=True)
    with spec.log.open("ab") as log:
        return subprocess.Popen(
            spec.command,
            env={**os.environ, **spec.environment},
            cwd=spec.directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent(spec.orphan_signal),  # noqa: PLW1509 - two system calls
            user=spec.account.uid if spec.account else None,
            group=spec.account.gid if spec.account else None,
            extra_groups=[] if spec.account else None,
        )


def _die_with_parent(orphan_signal: signal.Signals) -> Callable[[], None]:
    parent = os.getpid()

    def ask_kernel() -> None:
        _LIBC.prctl(PR_SET_PDEATHSIG, int(orphan_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return ask_kernel


def run_to_end(spec: ProcessSpec, timeout_seconds: float) -> None:
    """Runs a command that ends by itself; what it prints goes to the log."""
    child = Child(spec)
    try:
        if not wait_until(child.has_exited, timeout_seconds):
            raise with_log(f"{spec.name} took longer than {timeout_seconds:.0f} s.", spec.log)
    finally:
        stop([child])
    if child.exit_code != 0:
        raise with_log(f"{spec.name} ended with code {child.exit_code}.", spec.log)


def stop(children: Sequence[Child]) -> None:
    """Asks all to stop, in this order; kills the group of each that has not by its deadline."""
    asked_at = time.monotonic()
    for child in children:
        if not child.has_exited():
            send(child.identity, child.spec.stop_signal)
    for child in children:
        deadline = asked_at + child.spec.stop_seconds
        wait_until(child.has_exited, deadline - time.monotonic())
        if not child.has_exited():
            _kill_group(child.identity.pid)
            wait_until(child.has_exited, KILL_SECONDS)


def identify(pid: int) -> Identity:
    return Identity(pid=pid, created=psutil.Process(pid).create_time())


def is_alive(identity: Identity | None) -> bool:
    return _find(identity) is not None


def send(identity: Identity, number: signal.Signals) -> None:
    process = _find(identity)
    if process is not None:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            return


def stop_stranger(identity: Identity, number: signal.Signals, timeout_seconds: float) -> None:
    """Stops a process that is not our own child: a supervisor, or a child of one."""
    send(identity, number)
    wait_for_stranger(identity, timeout_seconds)


def wait_for_stranger(identity: Identity, timeout_seconds: float) -> None:
    """Waits for its end; kills its group if that takes too long."""
    if not wait_until(lambda: not is_alive(identity), timeout_seconds):
        _kill_group(identity.pid)
        wait_until(lambda: not is_alive(identity), KILL_SECONDS)


def _find(identity: Identity | None) -> psutil.Process | None:
    if identity is None:
        return None
    try:
        process = psutil.Process(identity.pid)
        same = abs(process.create_time() - identity.created) < CREATED_TOLERANCE_SECONDS
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def wait_until(condition: Callable[[], bool], timeout_seconds: float) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
