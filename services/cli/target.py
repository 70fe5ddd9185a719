"""Where the system is: named by the environment, or else the stack that runs on this machine."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from services.cli.output import CliError

if TYPE_CHECKING:
    from asyncpg import Connection

    from shared.database import Database, Transaction

SERVICES: Final = ("enrollment", "student", "capacity")
INGRESS: Final = "ingress"
WITH_DEAD_LETTERS: Final = (*SERVICES, INGRESS)
KAFKA_VARIABLE: Final = "KAFKA_BOOTSTRAP_SERVERS"
POSTGRES_VARIABLE: Final = "DATABASE_URL"
NOT_THERE: Final = {"3D000", "42P01"}  # no such database, no such table
NOTHING_RUNS: Final = (
    "nothing is running here: run `enroll up`, or set "
    f"{KAFKA_VARIABLE} and {POSTGRES_VARIABLE} (the server's administrative URL)"
)


@dataclass(frozen=True)
class Target:
    """The servers that commands talk to; a database for each service, named after it."""

    kafka_url: str
    database_urls: Mapping[str, str]

    def database_url(self, service: str) -> str:
        """Give the URL of a service's database."""
        if service not in WITH_DEAD_LETTERS:
            known = ", ".join(WITH_DEAD_LETTERS)
            raise CliError(f"there is no service {service}: name one of {known}")
        return self.audited_urls[service]

    @property
    def audited_urls(self) -> dict[str, str]:
        """Give the databases of the services, and that of the ingress, which there may not be."""
        ingress = with_database(self.database_urls["enrollment"], INGRESS)
        return {INGRESS: ingress, **self.database_urls}


def find_target() -> Target:
    """Find both servers, each by the environment or in the local stack."""
    kafka_url = os.environ.get(KAFKA_VARIABLE)
    admin_url = os.environ.get(POSTGRES_VARIABLE)
    if not kafka_url or not admin_url:
        local_kafka_url, local_admin_url = _local_urls()
        kafka_url, admin_url = kafka_url or local_kafka_url, admin_url or local_admin_url
    if not kafka_url or not admin_url:
        raise CliError(NOTHING_RUNS)
    return Target(kafka_url, {name: with_database(admin_url, name) for name in SERVICES})


def with_database(admin_url: str, name: str) -> str:
    """Give the same server and credentials with another database."""
    return urlsplit(admin_url)._replace(path=f"/{name}").geturl()


def _local_urls() -> tuple[str | None, str | None]:
    from deploy.local import stack, state  # noqa: PLC0415  (slow, and the environment may say all)

    servers = stack.status(state.default_directory()).servers
    kafka, postgres = servers.kafka, servers.postgres
    if {kafka.state, postgres.state} == {state.ProcessState.STOPPED}:
        return None, None
    return kafka.url, postgres.url  # of one that is down, the connection will tell


@asynccontextmanager
async def opened(target: Target, service: str) -> "AsyncIterator[Database]":
    """Lend a service's database; where it does not answer, the command ends with a sentence."""
    from shared.database import Database  # noqa: PLC0415  (slow)

    database = Database(target.database_url(service), application_name="enroll", pool_size=1)
    try:
        yield database
    except Exception as error:
        trouble = _database_trouble(error, service, target.database_url(service))
        if trouble is None:
            raise
        raise trouble from error
    finally:
        await database.close()


@asynccontextmanager
async def transaction(target: Target, service: str) -> "AsyncIterator[Transaction]":
    """Open one transaction in a service's database."""
    async with opened(target, service) as database, database.transaction() as begun:
        yield begun


@asynccontextmanager
async def reading(target: Target, service: str) -> "AsyncIterator[Connection]":
    """Open a transaction that only reads, for queries that set their own time limit."""
    async with (
        opened(target, service) as database,
        database.session() as (_, driver),
        driver.transaction(readonly=True),
    ):
        yield driver


class NoDataError(CliError):
    """A service has not made its tables: it has never run here."""


def _database_trouble(error: Exception, service: str, url: str) -> CliError | None:
    """Say what the operator can do about it; None where the error tells of something else."""
    from shared.retry import is_database_outage  # noqa: PLC0415  (slow)

    server = urlsplit(url).netloc.rpartition("@")[2]
    if is_database_outage(error):
        return CliError(f"PostgreSQL at {server} does not answer: see `enroll status`")
    if {_sqlstate(error), _sqlstate(getattr(error, "orig", None))} & NOT_THERE:
        return NoDataError(
            f"PostgreSQL at {server} has no data of {service} yet: start the service once"
        )
    return None


def _sqlstate(error: object) -> str:
    return str(getattr(error, "sqlstate", ""))
