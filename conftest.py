"""Real servers for all tests, started once; a fresh database and key prefix for each test."""

from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from types import ModuleType
from typing import Any
from uuid import uuid4

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
from shared.database import Database
from shared.tests.lending import Databases, Lender
from shared.topics import create_topics

INGRESS = "ingress"
VERSIONS: dict[str, ModuleType] = {
    Service.ENROLLMENT: services.enrollment,
    Service.STUDENT: services.student,
    Service.CAPACITY: services.capacity,
    INGRESS: services.enrollment.ingress.view,
}
WITH_ONE_STACK = ("services/tests/saga/", "services/tests/http/")
LONGEST_FIRST = (*WITH_ONE_STACK, "loadtests/", "services/simulation/")
READY_SECONDS = 10.0
LOG_SECONDS = 5.0
LINES_MAX = 20


class BySharedFixtures(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Divides tests among workers, and keeps together what shares fixtures: a file, the saga's."""

    def _split_scope(self, nodeid: str) -> str:
        with_one = next((one for one in WITH_ONE_STACK if nodeid.startswith(one)), None)
        return with_one or nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> BySharedFixtures:
    """Use it wherever tests are divided."""
    return BySharedFixtures(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that all workers end together."""

    def rank(item: pytest.Item) -> int:
        places = (n for n, one in enumerate(LONGEST_FIRST) if item.nodeid.startswith(one))
        return next(places, len(LONGEST_FIRST))

    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what processes logged around a failure: a stack takes its logs with it when it goes."""
    report = yield
    if report.failed:
        base = item.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # noqa: SLF001
        for log in base.glob("*[0-9]/logs/*.log"):
            if log.stat().st_mtime >= call.start - LOG_SECONDS:
                report.sections.append((f"{log.parent.parent.name}: {log.name}", odd_lines(log)))
    return report


def odd_lines(log: Path) -> str:
    """Give the end of a log, without what services say when all is well."""
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join([line for line in lines if '"level": "INFO"' not in line][-LINES_MAX:])


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServers]:
    """Kafka with the topics of the choreography, PostgreSQL without fsync, and Valkey."""
    with local_servers(tmp_path_factory.mktemp("servers")) as running:
        create_topics(running.kafka_url)
        yield running


@pytest.fixture(scope="session")
async def all_databases(servers: LocalServers) -> Databases:
    """The databases of all tests."""
    versions = {
        service: Path(str(package.__file__)).parent / "migrations"
        for service, package in VERSIONS.items()
    }
    made = Databases(servers.postgres_url, versions)
    await made.prepare()
    return made


@pytest.fixture
async def databases(all_databases: Databases) -> AsyncIterator[Lender]:
    """What lends this test fresh databases."""
    lender = Lender(all_databases)
    yield lender
    await lender.take_back()


@pytest.fixture
async def enrollment_database(databases: Lender) -> AsyncIterator[Database]:
    """A fresh database of the enrollment service."""
    async for database in _open(databases, Service.ENROLLMENT):
        yield database


@pytest.fixture
async def student_database(databases: Lender) -> AsyncIterator[Database]:
    """A fresh database of the student service."""
    async for database in _open(databases, Service.STUDENT):
        yield database


@pytest.fixture
async def capacity_database(databases: Lender) -> AsyncIterator[Database]:
    """A fresh database of the capacity service."""
    async for database in _open(databases, Service.CAPACITY):
        yield database


@pytest.fixture
async def ingress_database(databases: Lender) -> AsyncIterator[Database]:
    """A fresh database of the ingress."""
    async for database in _open(databases, INGRESS):
        yield database


async def _open(databases: Lender, service: str) -> AsyncIterator[Database]:
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
