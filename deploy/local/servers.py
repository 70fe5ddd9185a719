"""All servers together: ours, or those that the environment names; alone, for tests."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local import kafka, ports, postgres, postgres_home, state, valkey
from deploy.local.errors import StackError, with_log
from deploy.local.processes import POLL_SECONDS, ProcessSpec, stop
from deploy.local.supervised import Supervised

READY_SECONDS = 60.0
VARIABLES = {
    "kafka": "KAFKA_BOOTSTRAP_SERVERS",
    "postgres": "DATABASE_URL",
    valkey.NAME: "REDIS_URL",
}
ANSWERS: Mapping[str, Callable[[str], bool]] = {
    "kafka": kafka.answers,
    "postgres": postgres.answers,
    valkey.NAME: valkey.answers,
}


@dataclass(frozen=True)
class LocalServers:
    kafka_url: str
    postgres_url: str
    redis_url: str


def external_urls() -> dict[str, str]:
    """The servers that the environment names, to be used instead of ours."""
    return {name: os.environ[key] for name, key in VARIABLES.items() if os.environ.get(key)}


def port_names(
    external: Mapping[str, str], detours: Mapping[str, int] = kafka.NO_DETOURS
) -> list[str]:
    listeners = tuple(kafka.detour_port_name(one) for one in detours)
    names = {
        "kafka": (*kafka.PORT_NAMES, *listeners),
        "postgres": postgres.PORT_NAMES,
        valkey.NAME: valkey.PORT_NAMES,
    }
    return [port for server in names if server not in external for port in names[server]]


def prepare(
    state_dir: Path,
    port_of: Mapping[str, int],
    external: Mapping[str, str],
    *,
    fsync: bool,
    quick_start: bool,
    detours: Mapping[str, int] = kafka.NO_DETOURS,
) -> list[ProcessSpec]:
    """How to run each server that is ours, with its data directory made."""
    specs = []
    if "postgres" not in external:
        specs.append(postgres.prepare(state_dir, port_of, fsync=fsync))
    if "kafka" not in external:
        specs.append(kafka.prepare(state_dir, port_of, quick_start=quick_start, detours=detours))
    if valkey.NAME not in external:
        specs.append(valkey.prepare(state_dir, port_of))
    return specs


def require_answers(external: Mapping[str, str], on_tick: Callable[[], None]) -> None:
    """Waits for servers that others run; they may be starting too."""
    deadline = time.monotonic() + READY_SECONDS
    for name, url in external.items():
        while not ANSWERS[name](url):
            if time.monotonic() > deadline:
                raise StackError(
                    f"{name} at {VARIABLES[name]}={url} did not answer within "
                    f"{READY_SECONDS:.0f} s: start it, or unset the variable to use our own."
                )
            on_tick()
            time.sleep(POLL_SECONDS)


def _say(progress: str) -> None:
    sys.stderr.write(f"{progress}\n")


def _do_nothing() -> None:
    """For those who wait for nothing else meanwhile."""


@contextmanager
def local_servers(
    directory: Path, *, fsync: bool = False, quick_start: bool = True, keep_data: bool = False
) -> Iterator[LocalServers]:
    """All servers for as long as the block runs; it must run in the main thread."""
    external = external_urls()
    directory = directory.resolve()
    with state.lock(directory):
        if "kafka" not in external:
            kafka.fetch(_say)
        remembered = state.load(directory).ports
        port_of = ports.keep_or_choose(port_names(external), remembered)
        state.save(directory, state.State(ports=port_of))
        try:
            specs = prepare(directory, port_of, external, fsync=fsync, quick_start=quick_start)
            with _running(specs):
                require_answers(external, _do_nothing)
                urls = {spec.name: spec.url for spec in specs} | external
                yield LocalServers(urls["kafka"], urls["postgres"], urls[valkey.NAME])
        finally:
            if not keep_data:
                wipe(directory)


@contextmanager
def _running(specs: list[ProcessSpec]) -> Iterator[None]:
    processes = [Supervised(spec, is_held=lambda: False) for spec in specs]
    try:
        wait_until_ready(processes, _do_nothing)
        yield
    finally:
        stop([process.child for process in reversed(processes) if process.child is not None])


def wait_until_ready(processes: list[Supervised], on_tick: Callable[[], None]) -> None:
    """Starts them all at once; raises with the end of the log if one does not get ready."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        for process in processes:
            process.tick()
            process.raise_if_hopeless()
        on_tick()
        late = [process for process in processes if not process.is_ready()]
        if not late:
            return
        if time.monotonic() > deadline:
            name, log = late[0].spec.name, late[0].spec.log
            raise with_log(f"{name} did not get ready within {READY_SECONDS:.0f} s.", log)
        time.sleep(POLL_SECONDS)


def wipe(directory: Path) -> None:
    """Forgets the data of the servers that are ours; nothing may be running."""
    postgres_home.wipe(directory)
    kafka.wipe(directory)
    valkey.wipe(directory)
