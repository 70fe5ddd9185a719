"""A stack of our own whose processes reach the servers through the proxy, up for a block."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from deploy.local import kafka, keys, ports, postgres, servers, services, stack, state, valkey
from deploy.local.errors import StackError
from deploy.local.services import Count
from deploy.local.state import Detour, Plan, ServicePlan
from deploy.local.tokens import Issuer, issuer_with
from loadtests.chaos.journal import Journal, journal_file, opened_journal
from loadtests.chaos.proxy import Proxy, Route
from shared.choreography import Service
from shared.clock import system_clock

Say = Callable[[str], None]

KAFKA: Final = "kafka"
POSTGRES: Final = "postgres"
CLIENT: Final = "chaos"
TOKEN_SECONDS: Final = 86_400  # longer than any storm


@dataclass(frozen=True)
class Playground:
    """What faults are inflicted on, and how those who look on reach the servers: directly."""

    state_dir: Path
    proxy: Proxy
    journal: Journal
    plans: list[ServicePlan]

    @property
    def processes(self) -> list[str]:
        """Name the processes of services and ingresses."""
        return [plan.name for plan in self.plans]

    @property
    def http_urls(self) -> list[str]:
        """Where clients find the ingresses."""
        serving = [plan.name for plan in self.plans if plan.serves_http]
        port_names = [services.http_port_name(name) for name in serving]
        return [f"http://{ports.LOOPBACK}:{self._ports[name]}" for name in port_names]

    def sign(self, student_id: str) -> str:
        """Make a token with which a student acts at the ingresses."""
        return self._issuer.student(
            student_id, client=CLIENT, now=system_clock(), lifetime_seconds=TOKEN_SECONDS
        )

    @cached_property
    def _issuer(self) -> Issuer:
        return issuer_with(keys.private_key_file(self.state_dir))

    @property
    def redis_url(self) -> str:
        """Where operators find Redis."""
        return valkey.url_at(self._ports[valkey.NAME])

    @property
    def kafka_url(self) -> str:
        """Where the client and the auditor find Kafka."""
        return f"{ports.LOOPBACK}:{self._ports[KAFKA]}"

    @property
    def database_urls(self) -> dict[str, str]:
        """Where the auditor finds each service's database."""
        admin_url = postgres.url_at(self._ports[POSTGRES])
        names = [*Service, *([services.INGRESS] if self.http_urls else [])]
        return {name: postgres.role_url(admin_url, name) for name in names}

    @property
    def _ports(self) -> dict[str, int]:
        return state.load(self.state_dir).ports


@contextmanager
def playground(
    state_dir: Path, count: Count, *, quick_start: bool, say: Say
) -> Iterator[Playground]:
    """Start from nothing, and stop everything at the end; the data stays to be looked at."""
    state_dir = state_dir.resolve()
    refuse_what_is_not_ours(state_dir)
    stack.down(state_dir, wipe=True)
    with opened_journal(state_dir) as journal:
        plan, routes = _detoured(state_dir, count, quick_start)
        proxy = Proxy(routes)
        try:
            stack.up(state_dir, plan=plan, on_progress=say)
            yield Playground(state_dir, proxy, journal, plan.services)
        finally:
            say("stopping what was started")
            stack.down(state_dir)
            proxy.close()


def refuse_what_is_not_ours(state_dir: Path) -> None:
    """Raise where starting from nothing would cost others their servers or their data."""
    for name, variable in servers.VARIABLES.items():
        if name in servers.external_urls():
            raise StackError(f"{name} would be broken: unset {variable}, to use our own.")
    if state.state_file(state_dir).exists() and not journal_file(state_dir).exists():
        raise StackError(
            f"The stack in {state_dir} would be wiped: choose another ENROLL_STATE_DIR for chaos."
        )


def link_name(process: str, server: str) -> str:
    """Name the link from a process to a server."""
    return f"{process}>{server}"


def _detoured(state_dir: Path, count: Count, quick_start: bool) -> tuple[Plan, list[Route]]:
    """Choose all ports beforehand: the proxy needs those of the servers, and they its own."""
    plans = services.plan(count)
    links = [(plan.name, server) for plan in plans for server in _linked(plan)]
    listeners = [kafka.detour_port_name(plan.name) for plan in plans]
    names = [*servers.port_names({}), *listeners, *services.port_names(plans)]
    port_of = ports.keep_or_choose([*names, *(link_name(*link) for link in links)], {})
    state.save(state_dir, state.State(ports={name: port_of[name] for name in names}))
    ports.hand_over(port_of[name] for name in names)
    for plan in plans:
        to = {server: port_of[link_name(plan.name, server)] for server in _linked(plan)}
        plan.detour = Detour(kafka=to[KAFKA], postgres=to[POSTGRES], redis=to.get(valkey.NAME))
    routes = [
        Route(link_name(*link), port_of[link_name(*link)], port_of[_leads_to(*link)])
        for link in links
    ]
    return Plan(services=plans, quick_start=quick_start), routes


def _linked(plan: ServicePlan) -> tuple[str, ...]:
    return (KAFKA, POSTGRES, valkey.NAME) if plan.serves_http else (KAFKA, POSTGRES)


def _leads_to(process: str, server: str) -> str:
    """Name the port at the end of a link: a process has a listener of its own in Kafka."""
    return kafka.detour_port_name(process) if server == KAFKA else server
