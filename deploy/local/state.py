"""What the stack remembers in its state directory, and the lock on that directory."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from deploy.local.errors import StackError
from deploy.local.processes import Identity


class ProcessState(StrEnum):
    STARTING = "starting"
    READY = "ready"
    BACKING_OFF = "backing-off"
    STOPPED = "stopped"


class Detour(BaseModel):
    """Loopback ports where a process finds the servers, in place of their own.

    Whoever listens there leads on: for PostgreSQL to its port, for Kafka to `kafka-for-<process>`,
    a listener that sends its clients back to this port.
    """

    kafka: int
    postgres: int
    redis: int | None = None  # only of processes that serve HTTP: no others use it


class ServicePlan(BaseModel):
    """One service process to run; `service` names its role and its database.

    One that `serves_http` gets what the ingress needs: a port for clients, Redis, a key, peers.
    """

    name: str
    service: str
    instance: str
    command: list[str]
    detour: Detour | None = None
    serves_http: bool = False


class Plan(BaseModel):
    """What an operator asked to be running."""

    services: list[ServicePlan] = []
    fsync: bool = True
    quick_start: bool = False
    jaeger: bool = False

    @property
    def kafka_detours(self) -> dict[str, int]:
        """Where each process on a detour finds Kafka."""
        return {one.name: one.detour.kafka for one in self.services if one.detour is not None}


class Record(BaseModel):
    """One process as its supervisor last saw it; `external`: not started by us."""

    identity: Identity | None = None
    state: ProcessState = ProcessState.STOPPED
    url: str
    http_url: str | None = None
    external: bool = False


class State(BaseModel):
    supervisor: Identity | None = None
    plan: Plan | None = None
    ports: dict[str, int] = Field(default_factory=dict)
    servers: dict[str, Record] = Field(default_factory=dict)
    services: dict[str, Record] = Field(default_factory=dict)
    failure: str | None = None


def default_directory() -> Path:
    return Path(os.environ.get("ENROLL_STATE_DIR", ".enroll"))


def state_file(state_dir: Path) -> Path:
    return state_dir / "state.json"


def log_directory(state_dir: Path) -> Path:
    return state_dir / "logs"


def log_file(state_dir: Path, name: str) -> Path:
    return log_directory(state_dir) / f"{name}.log"


def hold_file(state_dir: Path, name: str) -> Path:
    """While this file exists the supervisor leaves the process down."""
    return state_dir / "held" / name


def release_all(state_dir: Path) -> None:
    shutil.rmtree(state_dir / "held", ignore_errors=True)


def load(state_dir: Path) -> State:
    try:
        return State.model_validate_json(state_file(state_dir).read_bytes())
    except FileNotFoundError:
        return State()
    except ValidationError as error:
        raise StackError(
            f"{state_file(state_dir)} was written by another version: remove {state_dir}."
        ) from error


def save(state_dir: Path, state: State) -> None:
    """Replaces the file at once: a reader sees the old state or the new one."""
    new = state_file(state_dir).with_suffix(".new")
    new.write_text(state.model_dump_json(indent=2))
    new.replace(state_file(state_dir))


@contextmanager
def lock(state_dir: Path) -> Iterator[None]:
    """Holds the directory until the end, even an end by SIGKILL, or refuses at once."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StackError(
                f"A stack is already running or starting in {state_dir}: stop it first, "
                "or choose another directory with ENROLL_STATE_DIR."
            ) from error
        yield
