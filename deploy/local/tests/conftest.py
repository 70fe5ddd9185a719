"""Helpers for tests that start real servers and stand-ins for the services."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local import processes, stack
from deploy.local.servers import VARIABLES
from deploy.local.state import Plan, ServicePlan, State

STANDIN = Path(__file__).with_name("standin.py")
WAIT_SECONDS = 30.0


def plan_of(*names: str, command: list[str] | None = None) -> Plan:
    services = [
        ServicePlan(
            name=name,
            service=name,
            instance=f"{name}-1",
            command=command or [sys.executable, str(STANDIN)],
            serves_http=name == "ingress",
        )
        for name in names
    ]
    return Plan(services=services, fsync=False, quick_start=True)


def identities(known: State) -> list[processes.Identity]:
    """The servers and services that are running, for sure."""
    records = (known.servers | known.services).values()
    return [record.identity for record in records if record.identity is not None]


def wait_until(condition: Callable[[], bool]) -> None:
    assert processes.wait_until(condition, WAIT_SECONDS), "waited in vain"


@pytest.fixture(autouse=True, scope="module")
def _own_servers() -> Iterator[None]:
    """These tests are about our servers, also where the environment names others."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in VARIABLES.values():
            patch.delenv(variable, raising=False)
        yield


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    stack.down(tmp_path, wipe=True)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state directory of a running stack."""
    directory = tmp_path_factory.mktemp("stack")
    stack.up(directory, plan=plan_of("enrollment", "capacity", "ingress"))
    yield directory
    stack.down(directory, wipe=True)
