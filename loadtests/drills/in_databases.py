"""Faults that another session of a database makes: locks, an old snapshot, a lease taken away."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any, Final

import asyncpg

from deploy.local.errors import StackError
from loadtests.drills.scene import Scene
from shared.relay import LEASE_LOCK

CONNECT_SECONDS: Final = 10.0
STATEMENT_SECONDS: Final = 30.0
CLOSE_SECONDS: Final = 5.0
TAKE_SECONDS_MAX: Final = 20.0
TRY_AGAIN_SECONDS: Final = 0.01

Run = Callable[..., list[Any]]


@contextmanager
def session(scene: Scene, service: str) -> Iterator[Run]:
    """Give what runs a statement with its arguments, in a session of its own."""
    url = scene.ground.database_urls[service]
    with asyncio.Runner() as runner:
        connection = runner.run(
            asyncpg.connect(url, timeout=CONNECT_SECONDS, command_timeout=STATEMENT_SECONDS)
        )
        try:
            yield lambda sql, *arguments: runner.run(connection.fetch(sql, *arguments))
        finally:
            runner.run(connection.close(timeout=CLOSE_SECONDS))


@contextmanager
def locked(scene: Scene, service: str, table: str) -> Iterator[None]:
    """Lock a table against everybody."""
    with session(scene, service) as run:
        run("BEGIN")
        run(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def old_snapshot(scene: Scene, service: str, table: str) -> Iterator[None]:
    """Read once in a transaction that stays open and sees for ever what it has seen."""
    with session(scene, service) as run:
        run("BEGIN ISOLATION LEVEL REPEATABLE READ")
        run(f"SELECT count(*) FROM {table}")  # noqa: S608  a name from the table of drills
        yield


@contextmanager
def lease_taken(scene: Scene, service: str) -> Iterator[None]:
    """Take the lease of a service's relay: end its session, and be quicker."""
    with session(scene, service) as run:
        run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN pg_locks USING (pid) "
            "WHERE locktype = 'advisory' AND granted AND objid = $1 "
            "AND datname = current_database()",
            LEASE_LOCK,
        )
        until_seconds = monotonic() + TAKE_SECONDS_MAX
        while not run("SELECT pg_try_advisory_lock($1)", LEASE_LOCK)[0][0]:
            if monotonic() > until_seconds:
                raise StackError(f"the lease of {service} could not be taken from it")
            sleep(TRY_AGAIN_SECONDS)
        yield
