"""What the plans are played against: a stack that is started for it, or one elsewhere."""

import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from deploy.local import keys, postgres, servers, services, stack
from deploy.local.errors import StackError
from deploy.local.status import Status
from loadtests.jmeter.options import Options
from loadtests.jmeter.process import Say
from shared.choreography import Service

STATE_DIR: Final = Path(".enroll/jmeter")
ANSWER_SECONDS: Final = 10.0
KAFKA_VARIABLE: Final = servers.VARIABLES["kafka"]
POSTGRES_VARIABLE: Final = servers.VARIABLES["postgres"]
NAMES: Final = (*Service, services.INGRESS)


@dataclass(frozen=True)
class Ground:
    """Where everything is; None where it is not told."""

    http_url: str
    kafka_url: str | None
    database_urls: Mapping[str, str] | None
    private_key: Path | None


@contextmanager
def ground(options: Options, say: Say) -> Iterator[Ground]:
    """Give the system that is named, or one that runs for the block."""
    if options.host is not None:
        yield _elsewhere(options.host, options)
        return
    state_dir = Path(os.environ.get("ENROLL_STATE_DIR") or STATE_DIR)
    was_running = _is_running(stack.status(state_dir))
    try:
        yield _started(state_dir, stack.up(state_dir, on_progress=say))
    finally:
        if not was_running:
            again = f"`ENROLL_STATE_DIR={state_dir} enroll up` starts it again, with its data"
            say(f"stopping what was started; {again}")
            stack.down(state_dir)


def _is_running(found: Status) -> bool:
    return any(service.pid is not None for service in found.services.values())


def _started(state_dir: Path, found: Status) -> Ground:
    url = next((one.url for one in found.services.values() if one.url is not None), None)
    kafka_url, admin_url = found.servers.kafka.url, found.servers.postgres.url
    if url is None or kafka_url is None or admin_url is None:
        raise StackError(f"The stack in {state_dir} has no ingress: stop it with `enroll down`.")
    return Ground(
        http_url=url,
        kafka_url=kafka_url,
        database_urls={name: postgres.role_url(admin_url, name) for name in NAMES},
        private_key=keys.private_key_file(state_dir),
    )


def _elsewhere(host: str, options: Options) -> Ground:
    _require_answer(host)
    kafka_url, admin_url = os.environ.get(KAFKA_VARIABLE), os.environ.get(POSTGRES_VARIABLE)
    _require_all_told(options, kafka_url, admin_url)
    urls = {name: _as_administrator(admin_url, name) for name in NAMES} if admin_url else None
    return Ground(host, kafka_url, urls, options.private_key)


def _as_administrator(admin_url: str, name: str) -> str:
    return urlsplit(admin_url)._replace(path=f"/{name}").geturl()


def _require_answer(host: str) -> None:
    try:
        urllib.request.urlopen(f"{host}/health/ready", timeout=ANSWER_SECONDS).close()  # noqa: S310  options allow http and https only
    except (OSError, ValueError, HTTPException) as error:
        raise StackError(
            f"{host}/health/ready does not answer ({error}): start the ingress there, or name "
            "another --host; without --host a stack is started here."
        ) from error


def _require_all_told(options: Options, kafka_url: str | None, admin_url: str | None) -> None:
    """Say at the beginning what would be missed at the end."""
    if options.data is None and (kafka_url is None or options.private_key is None):
        raise StackError(
            f"To make data for {options.host}, set {KAFKA_VARIABLE} and give --private-key FILE; "
            "or give --data DIR with files that were made there."
        )
    if options.has_audit and (kafka_url is None or admin_url is None):
        raise StackError(
            f"To audit {options.host}, set {KAFKA_VARIABLE} and {POSTGRES_VARIABLE} (the server's "
            "administrative URL); or say --no-audit."
        )
    if kafka_url is None and any(plan.by_kafka for plan in options.plans):
        raise StackError(f"The plan kafka needs Kafka: set {KAFKA_VARIABLE}, or leave it out.")
