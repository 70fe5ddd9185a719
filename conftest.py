"""Real servers for all tests, started once; a fresh database and key prefix for each test."""

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import psutil
import pytest
from xdist.scheduler import LoadScopeScheduling

import services.capacity
import services.enrollment
import services.enrollment.ingress.view
import services.student
from deploy.local import ports, processes, valkey
from deploy.local.servers import LocalServers, external_urls, local_servers
from shared.choreography import Service
from shared.database import Database, migrate
from shared.topics import create_topics

INGRESS = "ingress"
VERSIONS: dict[str, ModuleType] = {
    Service.ENROLLMENT: services.enrollment,
    Service.STUDENT: services.student,
    Service.CAPACITY: services.capacity,
    INGRESS: services.enrollment.ingress.view,
}
WITH_ONE_STACK = ("services/tests/saga/", "services/tests/http/")
READY_SECONDS = 10.0
_NUMBERS = itertools.count(1)


class BySharedFixtures(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Divides tests among workers, and keeps together what shares fixtures: a file, the saga's."""

    def _split_scope(self, nodeid: str) -> str:
        with_one = next((one for one in WITH_ONE_STACK if nodeid.startswith(one)), None)
        return with_one or nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> BySharedFixtures:
    """Use it wherever tests are divided."""
    return BySharedFixtures(config, log)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServers]:
    """Kafka with the topics of the choreography, PostgreSQL without fsync, and Valkey."""
    with local_servers(tmp_path_factory.mktemp("servers")) as running:
        create_topics(running.kafka_url)
        yield running


@dataclass(frozen=True)
class Databases:
    """Makes databases by copying one that was migrated once."""

    admin_url: str

    async def make(self, service: str) -> str:
        """Make a fresh, migrated database of a service or the ingress, and give its URL."""
        name = f"test_{service}_{next(_NUMBERS)}"
        connection = await asyncpg.connect(self.admin_url)
        try:
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE {_template(service)}")
        finally:
            await connection.close()
        return self._url(name)

    async def prepare(self) -> None:
        """Make the template of each service."""
        connection = await asyncpg.connect(self.admin_url)
        try:
            for service in VERSIONS:
                await connection.execute(f"CREATE DATABASE {_template(service)}")
        finally:
            await connection.close()
        for service, package in VERSIONS.items():
            versions = Path(str(package.__file__)).parent / "migrations"
            await migrate(self._url(_template(service)), versions)

    def _url(self, name: str) -> str:
        return urlunsplit(urlsplit(self.admin_url)._replace(path=f"/{name}"))


def _template(service: str) -> str:
    return f"template_{service}"


@pytest.fixture(scope="session")
async def databases(servers: LocalServers) -> Databases:
    """What makes fresh databases."""
    made = Databases(servers.postgres_url)
    await made.prepare()
    return made


@pytest.fixture
async def enrollment_database(databases: Databases) -> AsyncIterator[Database]:
    """A fresh database of the enrollment service."""
    async for database in _open(databases, Service.ENROLLMENT):
        yield database


@pytest.fixture
async def student_database(databases: Databases) -> AsyncIterator[Database]:
    """A fresh database of the student service."""
    async for database in _open(databases, Service.STUDENT):
        yield database


@pytest.fixture
async def capacity_database(databases: Databases) -> AsyncIterator[Database]:
    """A fresh database of the capacity service."""
    async for database in _open(databases, Service.CAPACITY):
        yield database


@pytest.fixture
async def ingress_database(databases: Databases) -> AsyncIterator[Database]:
    """A fresh database of the ingress."""
    async for database in _open(databases, INGRESS):
        yield database


async def _open(databases: Databases, service: str) -> AsyncIterator[Database]:
    database = Database(await databases.make(service), application_name="test")
    yield database
    await database.close()


@dataclass(frozen=True)
class PrivateServers:
    """Servers that one test may stop; the pid is that of Kafka's own process."""

    kafka_url: str
    postgres_url: str
    redis_url: str
    kafka_pid: int


@pytest.fixture
def private_servers(tmp_path: Path) -> Iterator[PrivateServers]:
    """Kafka without topics, and the others, for one test; skips where the machine's are used."""
    if external_urls():
        pytest.skip("the servers are not ours to stop")
    with local_servers(tmp_path) as running:
        marks = (str(tmp_path.resolve()), "kafka.Kafka")
        [kafka] = [
            child
            for child in psutil.Process().children()
            if all(mark in " ".join(child.cmdline()) for mark in marks)
        ]
        yield PrivateServers(running.kafka_url, running.postgres_url, running.redis_url, kafka.pid)


@pytest.fixture(scope="session")
def redis_url(servers: LocalServers) -> str:
    """The Redis that all tests share: each keeps to its own prefix."""
    return servers.redis_url


@pytest.fixture
def cache_prefix() -> str:
    """How the keys of this test begin; no other test's do, in any worker."""
    return f"test-{uuid4()}:"


class PrivateRedis:
    """A Redis that one test may pause, kill and start again on its port."""

    def __init__(self, directory: Path) -> None:
        """Start it and wait until it answers."""
        port_of = ports.keep_or_choose(valkey.PORT_NAMES, {})
        self.spec = valkey.prepare(directory, port_of)
        self.url = self.spec.url
        self._child = processes.Child(self.spec)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until it answers."""
        assert processes.wait_until(self.spec.is_ready, READY_SECONDS), "Redis does not answer"

    def pause(self) -> None:
        """Let it answer nobody, while the kernel goes on to take what it is sent."""
        processes.send(self._child.identity, SIGSTOP)

    def resume(self) -> None:
        """Let it go on where it was."""
        processes.send(self._child.identity, SIGCONT)

    def kill(self) -> None:
        """End it at once: its connections break, and what it knew is lost."""
        processes.send(self._child.identity, SIGKILL)
        assert processes.wait_until(self._child.has_exited, READY_SECONDS)

    def start(self) -> None:
        """Start it again; it may not answer yet."""
        assert self._child.has_exited()
        self._child = processes.Child(self.spec)


@pytest.fixture
def private_redis(tmp_path: Path) -> Iterator[PrivateRedis]:
    """A Redis for one test."""
    server = PrivateRedis(tmp_path)
    yield server
    server.kill()
