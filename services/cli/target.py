"""Where the system is: named by the environment, or else the stack that runs on this machine."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from services.cli.output import CliError

if TYPE_CHECKING:
    from shared.database import Transaction

SERVICES: Final = ("enrollment", "student", "capacity")
KAFKA_VARIABLE: Final = "KAFKA_BOOTSTRAP_SERVERS"
POSTGRES_VARIABLE: Final = "DATABASE_URL"
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
        if service not in self.database_urls:
            raise CliError(f"there is no service {service}: name one of {', '.join(SERVICES)}")
        return self.database_urls[service]


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
    ready = state.ProcessState.READY
    kafka, postgres = servers.kafka, servers.postgres
    return (
        kafka.url if kafka.state is ready else None,
        postgres.url if postgres.state is ready else None,
    )


@asynccontextmanager
async def transaction(target: Target, service: str) -> "AsyncIterator[Transaction]":
    """Open one transaction in a service's database; an unreachable one ends the command."""
    from shared.database import Database  # noqa: PLC0415  (slow)

    database = Database(target.database_url(service), application_name="enroll", pool_size=1)
    try:
        async with database.transaction() as opened:
            yield opened
    except OSError as error:
        server = urlsplit(target.database_url(service)).netloc.rpartition("@")[2]
        raise CliError(
            f"PostgreSQL at {server} does not answer ({error}): see `enroll status`"
        ) from error
    finally:
        await database.close()
