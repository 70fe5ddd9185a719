"""A stack of our own whose processes reach the servers through the proxy, up for a block."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.local import kafka, ports, postgres, servers, services, stack, state
from deploy.local.errors import StackError
from deploy.local.state import Detour, Plan
from loadtests.chaos.journal import Journal, journal_file, opened_journal
from loadtests.chaos.proxy import Proxy, Route
from shared.choreography import Service

Say = Callable[[str], None]

KAFKA: Final = "kafka"
POSTGRES: Final = "postgres"
LINKED: Final = (KAFKA, POSTGRES)


@dataclass(frozen=True)
class Playground:
    """What faults are inflicted on, and how those who look on reach the servers: directly."""

    state_dir: Path
    proxy: Proxy
    journal: Journal
    processes: list[str]  # of the services

    @property
    def kafka_url(self) -> str:
        """Where the client and the auditor find Kafka."""
        return f"{ports.LOOPBACK}:{self._ports[KAFKA]}"

    @property
    def database_urls(self) -> dict[str, str]:
        """Where the auditor finds each service's database."""
        admin_url = postgres.url_at(self._ports[POSTGRES])
        return {one.value: postgres.role_url(admin_url, one.value) for one in Service}

    @property
    def _ports(self) -> dict[str, int]:
        return state.load(self.state_dir).ports


@contextmanager
def playground(
    state_dir: Path, *, instances: int, quick_start: bool, say: Say
) -> Iterator[Playground]:
    """Start from nothing, and stop everything at the end; the data stays to be looked at."""
    state_dir = state_dir.resolve()
    _refuse_what_is_not_ours(state_dir)
    stack.down(state_dir, wipe=True)
    with opened_journal(state_dir) as journal:
        plan, routes = _detoured(state_dir, instances, quick_start)
        proxy = Proxy(routes)
        try:
            stack.up(state_dir, plan=plan, on_progress=say)
            processes = [service.name for service in plan.services]
            yield Playground(state_dir, proxy, journal, processes)
        finally:
            say("stopping what was started")
            stack.down(state_dir)
            proxy.close()


def _refuse_what_is_not_ours(state_dir: Path) -> None:
    for name, variable in servers.VARIABLES.items():
        if name in servers.external_urls():
            raise StackError(f"{name} would be killed: unset {variable}, to use our own.")
    if state.state_file(state_dir).exists() and not journal_file(state_dir).exists():
        raise StackError(
            f"The stack in {state_dir} would be wiped: choose another ENROLL_STATE_DIR for chaos."
        )


def link_name(process: str, server: str) -> str:
    """Name the link from a process to a server."""
    return f"{process}>{server}"


def _detoured(state_dir: Path, instances: int, quick_start: bool) -> tuple[Plan, list[Route]]:
    """Choose all ports beforehand: the proxy needs those of the servers, and they its own."""
    plans = services.plan_services(instances)
    links = [(plan.name, server) for plan in plans for server in LINKED]
    listeners = [kafka.detour_port_name(plan.name) for plan in plans]
    names = [*kafka.PORT_NAMES, *postgres.PORT_NAMES, *listeners, *(plan.name for plan in plans)]
    port_of = ports.keep_or_choose([*names, *(link_name(*link) for link in links)], {})
    state.save(state_dir, state.State(ports={name: port_of[name] for name in names}))
    for plan in plans:
        to_kafka, to_postgres = (port_of[link_name(plan.name, server)] for server in LINKED)
        plan.detour = Detour(kafka=to_kafka, postgres=to_postgres)
    routes = [
        Route(link_name(*link), port_of[link_name(*link)], port_of[_leads_to(*link)])
        for link in links
    ]
    return Plan(services=plans, quick_start=quick_start), routes


def _leads_to(process: str, server: str) -> str:
    """Name the port at the end of a link: a process has a listener of its own in Kafka."""
    return kafka.detour_port_name(process) if server == KAFKA else server
