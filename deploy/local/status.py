"""What runs, as operators and tests see it: the supervisor's word, checked against the kernel."""

from pathlib import Path

from pydantic import BaseModel, Field

from deploy.local import processes, servers, state
from deploy.local.state import ProcessState, Record, State


class ServiceStatus(BaseModel):
    pid: int | None
    state: ProcessState
    admin_url: str
    url: str | None = Field(default=None, exclude_if=lambda url: url is None)  # for clients


class ServerStatus(BaseModel):
    pid: int | None = None
    state: ProcessState = ProcessState.STOPPED
    url: str | None = None


class ServersStatus(BaseModel):
    kafka: ServerStatus = ServerStatus()
    postgres: ServerStatus = ServerStatus()
    redis: ServerStatus = ServerStatus()
    jaeger: ServerStatus | None = Field(default=None, exclude_if=lambda found: found is None)

    def by_name(self) -> dict[str, ServerStatus]:
        """Those that there are: Jaeger only where it was asked for."""
        return {name: server for name, server in self if server is not None}


class Status(BaseModel):
    services: dict[str, ServiceStatus]
    servers: ServersStatus

    @property
    def is_up(self) -> bool:
        return all(state is ProcessState.READY for state in self.states().values())

    def states(self) -> dict[str, ProcessState]:
        servers = {name: server.state for name, server in self.servers.by_name().items()}
        return servers | {name: service.state for name, service in self.services.items()}


def read_status(state_dir: Path) -> Status:
    known = state.load(state_dir)
    return Status(
        services={
            name: ServiceStatus(
                pid=_pid(record),
                state=_state(known, record),
                admin_url=record.url,
                url=record.http_url,
            )
            for name, record in known.services.items()
        },
        servers=ServersStatus(
            **{name: _server(known, name, record) for name, record in known.servers.items()}
        ),
    )


def _server(known: State, name: str, record: Record) -> ServerStatus:
    if record.external:
        answers = servers.ANSWERS[name](record.url)
        found = ProcessState.READY if answers else ProcessState.STOPPED
        return ServerStatus(state=found, url=record.url)
    return ServerStatus(pid=_pid(record), state=_state(known, record), url=record.url)


def _pid(record: Record) -> int | None:
    alive = record.identity is not None and processes.is_alive(record.identity)
    return record.identity.pid if record.identity is not None and alive else None


def _state(known: State, record: Record) -> ProcessState:
    if not processes.is_alive(known.supervisor):
        return ProcessState.STOPPED
    if record.state is ProcessState.READY and not processes.is_alive(record.identity):
        return ProcessState.BACKING_OFF  # its supervisor will notice at once
    return record.state
