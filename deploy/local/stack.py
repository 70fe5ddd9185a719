"""The whole stack on this machine: up, down, status and restart, for the command line and tests."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM
from typing import NoReturn

from deploy.local import jaeger as jaeger_server
from deploy.local import kafka, keys, processes, servers, services, state
from deploy.local.errors import StackError, with_log
from deploy.local.processes import POLL_SECONDS, Identity
from deploy.local.state import Plan, ProcessState, Record
from deploy.local.status import Status, read_status
from deploy.local.supervisor import wait_for_leftovers

UP_SECONDS = 240.0
DOWN_SECONDS = 60.0
READY_SECONDS = 60.0
STOP_SECONDS = 20.0


def _say_nothing(_: str) -> None:
    """For callers that want no progress."""


def up(
    state_dir: Path,
    *,
    instances: int | None = None,
    ingresses: int | None = None,
    jaeger: bool = False,
    on_progress: Callable[[str], None] = _say_nothing,
    plan: Plan | None = None,
) -> Status:
    """Starts what is not running and returns when everything is ready, or raises StackError.

    `instances` of each service, and `ingresses`: None keeps what there is, or the usual number.
    With `jaeger` one runs beside, and all spans go there.
    `plan` replaces the usual processes; one without services starts the servers alone.
    """
    state_dir = state_dir.resolve()
    if _is_supervised(state_dir):
        _refuse_other_count(state_dir, instances, ingresses)
        _refuse_missing_jaeger(state_dir, wanted=jaeger)
        state.release_all(state_dir)
        found = _wait_until_up(state_dir, on_progress)
        if found is not None:
            return found
    chosen = plan or _choose_plan(state_dir, instances, ingresses)
    if jaeger:
        chosen = chosen.model_copy(update={"jaeger": True})
    return _start(state_dir, chosen, on_progress)


def _start(state_dir: Path, plan: Plan, on_progress: Callable[[str], None]) -> Status:
    """Starts a supervisor; takes everything down again if it does not get all ready."""
    _start_supervisor(state_dir, plan, on_progress)
    try:
        return _wait_until_up(state_dir, on_progress) or _raise_failure(state_dir)
    except BaseException:
        down(state_dir)
        raise


def _raise_failure(state_dir: Path) -> NoReturn:
    failure = state.load(state_dir).failure
    if failure is not None:
        raise StackError(failure)
    raise with_log("The stack's supervisor ended.", state.log_file(state_dir, "supervisor"))


def down(state_dir: Path, *, wipe: bool = False) -> None:
    """Stops everything in reverse order; `wipe` forgets all data, logs and ports too.

    The data on servers that the environment named is not ours, and stays.
    """
    state_dir = state_dir.resolve()
    known = state.load(state_dir)
    if known.supervisor is not None and processes.is_alive(known.supervisor):
        processes.stop_stranger(known.supervisor, SIGTERM, DOWN_SECONDS)
    if not state.state_file(state_dir).exists():
        return
    with state.lock(state_dir):
        known = state.load(state_dir)
        wait_for_leftovers(known)
        state.save(state_dir, known.model_copy(update={"plan": None}))
        if wipe:
            _forget(state_dir)


def status(state_dir: Path) -> Status:
    return read_status(state_dir.resolve())


def restart(state_dir: Path, name: str) -> Status:
    """Stops one service or server; its supervisor starts it again. Returns when it is ready."""
    state_dir = state_dir.resolve()
    record = _our_record(state_dir, name)
    _stop_process(name, record)
    return start_one(state_dir, name, before=record.identity)


def stop_one(state_dir: Path, name: str, *, kill: bool = False) -> None:
    """Stops one service or server, or kills it, and keeps it down until start_one or up."""
    state_dir = state_dir.resolve()
    record = _our_record(state_dir, name)
    hold = state.hold_file(state_dir, name)
    hold.parent.mkdir(exist_ok=True)
    hold.touch()
    _stop_process(name, record, kill=kill)


def start_one(state_dir: Path, name: str, *, before: Identity | None = None) -> Status:
    """Lets a process run again; returns when one that is not `before` is ready."""
    state_dir = state_dir.resolve()
    state.hold_file(state_dir, name).unlink(missing_ok=True)
    deadline = time.monotonic() + READY_SECONDS
    while True:
        record = _our_record(state_dir, name)
        if record.state is ProcessState.READY and record.identity != before:
            return read_status(state_dir)
        if time.monotonic() > deadline:
            raise _late(state_dir, name, READY_SECONDS)
        time.sleep(POLL_SECONDS)


def _is_supervised(state_dir: Path) -> bool:
    return processes.is_alive(state.load(state_dir).supervisor)


def _choose_plan(state_dir: Path, instances: int | None, ingresses: int | None) -> Plan:
    remembered = state.load(state_dir).plan
    if remembered is not None and instances is None and ingresses is None:
        return remembered
    known = services.count(remembered.services) if remembered else services.USUAL
    wanted = services.plan(known.with_wishes(instances, ingresses))
    return (remembered or Plan()).model_copy(update={"services": wanted})


def _refuse_other_count(state_dir: Path, instances: int | None, ingresses: int | None) -> None:
    plan = state.load(state_dir).plan
    if plan is None:
        return
    running = services.count(plan.services)
    wanted = running.with_wishes(instances, ingresses)
    if wanted != running:
        raise StackError(
            f"The stack runs {running}: stop it with `down` before you start {wanted}."
        )


def _refuse_missing_jaeger(state_dir: Path, *, wanted: bool) -> None:
    plan = state.load(state_dir).plan
    if wanted and plan is not None and not plan.jaeger:
        raise StackError("The stack runs without Jaeger: stop it with `down`, then `up --jaeger`.")


def _start_supervisor(state_dir: Path, plan: Plan, on_progress: Callable[[str], None]) -> None:
    if "kafka" not in servers.external_urls():
        kafka.fetch(on_progress)
    if plan.jaeger:
        jaeger_server.fetch(on_progress)
    state_dir.mkdir(parents=True, exist_ok=True)
    started = subprocess.run(
        [sys.executable, "-m", "deploy.local.supervisor", "--state-dir", str(state_dir)],
        input=plan.model_dump_json(),
        stderr=subprocess.PIPE,
        text=True,
        timeout=UP_SECONDS,
        check=False,
    )
    if started.returncode != 0:
        raise StackError(started.stderr.strip())


def _wait_until_up(state_dir: Path, on_progress: Callable[[str], None]) -> Status | None:
    """None if the supervisor ends while we wait for it."""
    reported: dict[str, ProcessState] = {}
    deadline = time.monotonic() + UP_SECONDS
    while True:
        is_supervised, found = _is_supervised(state_dir), read_status(state_dir)
        for name, process_state in found.states().items():
            if reported.get(name, ProcessState.STOPPED) != process_state:
                reported[name] = process_state
                on_progress(f"{name}: {process_state}")
        if not is_supervised:
            return None
        if found.is_up:
            return found
        if time.monotonic() > deadline:
            raise _late(state_dir, _first_late(found), UP_SECONDS)
        time.sleep(POLL_SECONDS)


def _first_late(found: Status) -> str:
    states = found.states().items()
    return next(name for name, state_now in states if state_now is not ProcessState.READY)


def _late(state_dir: Path, name: str, waited_seconds: float) -> StackError:
    record = state.load(state_dir).services.get(name)
    why = "" if record is None else f" {services.waits_for(record.url)}"
    log = state.log_file(state_dir, name)
    return with_log(f"{name} did not get ready within {waited_seconds:.0f} s.{why}", log)


def _our_record(state_dir: Path, name: str) -> Record:
    known = state.load(state_dir)
    if not processes.is_alive(known.supervisor):
        raise StackError(f"No stack is running in {state_dir}: start it with `up`.")
    records = known.servers | known.services
    if name not in records:
        raise StackError(f"There is no {name}: it can be one of {', '.join(records)}.")
    if records[name].external:
        raise StackError(
            f"{name} is not ours to stop: {servers.VARIABLES[name]} named it when the stack began."
        )
    return records[name]


def _stop_process(name: str, record: Record, *, kill: bool = False) -> None:
    if record.identity is not None:
        gentle = SIGINT if name == "postgres" else SIGTERM
        number = SIGKILL if kill else gentle
        processes.stop_stranger(record.identity, number, STOP_SECONDS)


def _forget(state_dir: Path) -> None:
    """Removes what we made there, by name: the directory may hold other people's files."""
    servers.wipe(state_dir)
    jaeger_server.wipe(state_dir)
    keys.wipe(state_dir)
    state.release_all(state_dir)
    for directory in (services.working_directories(state_dir), state.log_directory(state_dir)):
        shutil.rmtree(directory, ignore_errors=True)
    state.state_file(state_dir).unlink(missing_ok=True)
