"""The background process that starts the stack, keeps it running and stops it in reverse order."""

import argparse
import logging
import os
import signal
import sys
import time
from pathlib import Path

from deploy.local import jaeger, keys, ports, postgres, processes, servers, services, state
from deploy.local.errors import StackError
from deploy.local.state import Plan, ProcessState, Record, State
from deploy.local.supervised import Supervised
from shared.topics import create_topics

TICK_SECONDS = 0.05
LEFTOVER_SECONDS = 20.0

log = logging.getLogger("supervisor")


class AskedToStopError(Exception):
    """Ends the start early."""


class Supervisor:
    def __init__(self, state_dir: Path, plan: Plan) -> None:
        self.state_dir = state_dir
        self.plan = plan
        self.external = servers.external_urls()
        self.servers: list[Supervised] = []
        self.services: list[Supervised] = []
        self.is_stopping = False
        self.state = State(
            supervisor=processes.identify(os.getpid()), plan=plan, ports=state.load(state_dir).ports
        )
        state.save(state_dir, self.state)

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        try:
            self._start()
            self._watch()
        except AskedToStopError:
            pass
        except StackError as error:
            self.state.failure = str(error)
        finally:
            self._stop()

    def _ask_to_stop(self, *_: object) -> None:
        self.is_stopping = True

    def _start(self) -> None:
        state.release_all(self.state_dir)
        self._choose_ports()
        urls = self._prepare()
        servers.wait_until_ready(self.servers, self._note)
        servers.require_answers(self.external, self._note)
        create_topics(urls["kafka"])
        postgres.create_databases(urls["postgres"])
        servers.wait_until_ready([*self.servers, *self.services], self._note)

    def _choose_ports(self) -> None:
        server_names = servers.port_names(self.external, self.plan.kafka_detours)
        names = [*server_names, *services.port_names(self.plan.services)]
        names += jaeger.PORT_NAMES if self.plan.jaeger else ()
        self.state.ports |= ports.keep_or_choose(names, self.state.ports)

    def _prepare(self) -> dict[str, str]:
        """Says how to run everything; returns the servers' URLs."""
        plan, port_of = self.plan, self.state.ports
        server_specs = servers.prepare(
            self.state_dir,
            port_of,
            self.external,
            fsync=plan.fsync,
            quick_start=plan.quick_start,
            detours=plan.kafka_detours,
        )
        if plan.jaeger:
            server_specs.append(jaeger.prepare(self.state_dir, port_of))
        urls = {spec.name: spec.url for spec in server_specs} | self.external
        if any(service.serves_http for service in plan.services):
            keys.make(self.state_dir)
        peers = services.admin_urls(plan.services, port_of)
        service_specs = [
            services.specify(service, self.state_dir, port_of, urls, peers)
            for service in plan.services
        ]
        self.servers = [self._supervise(spec) for spec in server_specs]
        self.services = [self._supervise(spec) for spec in service_specs]
        return urls

    def _supervise(self, spec: processes.ProcessSpec) -> Supervised:
        return Supervised(spec, state.hold_file(self.state_dir, spec.name).exists)

    def _watch(self) -> None:
        while not self.is_stopping:
            for process in [*self.servers, *self.services]:
                process.tick()
            self.save()
            time.sleep(TICK_SECONDS)

    def _note(self) -> None:
        self.save()
        if self.is_stopping:
            raise AskedToStopError

    def _stop(self) -> None:
        for group in (self.services, self.servers):
            children = [process.child for process in reversed(group) if process.child is not None]
            processes.stop(children)
            for process in group:
                process.mark_stopped()
            self.save()
        self.state.plan = None
        state.save(self.state_dir, self.state)

    def save(self) -> None:
        """Writes the state down if it is not as it was."""
        new = self.state.model_copy(update={"servers": self._server_records()})
        new.services = {process.spec.name: process.record() for process in self.services}
        if new != self.state:
            _log_changes(self.state, new)
            state.save(self.state_dir, new)
            self.state = new

    def _server_records(self) -> dict[str, Record]:
        ours = {process.spec.name: process.record() for process in self.servers}
        others = {
            name: Record(state=ProcessState.READY, url=url, external=True)
            for name, url in self.external.items()
        }
        return ours | others


def _log_changes(old: State, new: State) -> None:
    before, now = old.servers | old.services, new.servers | new.services
    for name, record in now.items():
        if record != before.get(name):
            pid = record.identity.pid if record.identity else "none"
            log.info("%s: %s, pid %s", name, record.state, pid)


def wait_for_leftovers(previous: State) -> None:
    """Children of a killed supervisor are ending: their ports and data are not free before."""
    deadline = time.monotonic() + LEFTOVER_SECONDS
    for record in [*previous.services.values(), *previous.servers.values()]:
        if record.identity is not None:
            processes.wait_for_stranger(record.identity, deadline - time.monotonic())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True)
    state_dir = parser.parse_args().state_dir.resolve()
    plan = Plan.model_validate_json(sys.stdin.read())
    try:
        with state.lock(state_dir):
            wait_for_leftovers(state.load(state_dir))
            if os.fork() == 0:
                _run_in_background(state_dir, plan)
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _run_in_background(state_dir: Path, plan: Plan) -> None:
    os.setsid()
    supervisor = Supervisor(state_dir, plan)
    # Only now: our caller waits for the end of our standard error, and then reads the state.
    _write_to(state.log_file(state_dir, "supervisor"))
    supervisor.run()


def _write_to(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)


if __name__ == "__main__":
    sys.exit(main())
