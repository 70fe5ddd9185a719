"""Asks the processes of the local stack how they are, their breakers, and what their clock says."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import urlopen

from deploy.local import servers, stack, state
from deploy.local.state import ProcessState
from deploy.local.status import ServerStatus, ServiceStatus
from services.cli.why.facts import ProcessFacts

ANSWER_SECONDS: Final = 3.0  # a busy machine is slow, and a process on it is not silent
ANSWER_BYTES_MAX: Final = 1_000_000
AT_ONCE: Final = 16

Services = Mapping[str, str]  # of each process, its service


def read_processes() -> tuple[Sequence[ProcessFacts], Mapping[str, bool]] | None:
    """Ask all; also whether Redis answers. None where no stack was started here. Blocks."""
    state_dir = state.default_directory().resolve()
    found = stack.status(state_dir)
    if not found.services:
        return None
    plan = state.load(state_dir).plan
    service_of = {one.name: one.service for one in plan.services} if plan is not None else {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        redis = pool.submit(_answers, "redis", found.servers.redis)
        asked = [
            pool.submit(_process, name, service_of.get(name, name.partition("-")[0]), one)
            for name, one in found.services.items()
        ]
        return [one.result() for one in asked], {"redis": redis.result()}


def _answers(name: str, server: ServerStatus) -> bool:
    is_up = server.state is ProcessState.READY and server.url is not None
    return is_up and servers.ANSWERS[name](server.url or "")


def _process(name: str, service: str, status: ServiceStatus) -> ProcessFacts:
    said = _ask(status.admin_url, "/health/ready") if status.pid is not None else None
    breakers = _ask(status.admin_url, "/breakers") if said is not None else None
    health, clock_ahead_seconds = said or ({}, None)
    return ProcessFacts(
        name=name,
        service=service,
        state=status.state.value,
        is_alive=status.pid is not None,
        is_answering=said is not None,
        checks=health.get("checks", {}),
        breakers={one: how["state"] for one, how in (breakers or ({}, None))[0].items()},
        out_of_range=health.get("out_of_range", []),
        closed_topics=health.get("closed_topics", []),
        clock_ahead_seconds=clock_ahead_seconds,
    )


def _ask(admin_url: str, path: str) -> tuple[dict[str, Any], float | None] | None:
    """Give an answer, and how far the process's clock is ahead of ours; None: no answer in time."""
    try:
        with urlopen(admin_url + path, timeout=ANSWER_SECONDS) as answer:  # noqa: S310
            text, date = answer.read(ANSWER_BYTES_MAX), answer.headers.get("Date")
    except HTTPError as error:  # 503 says what is not ready
        text, date = error.read(ANSWER_BYTES_MAX), error.headers.get("Date")
    except (OSError, HTTPException):
        return None
    try:
        return json.loads(text), _ahead_seconds(date)
    except ValueError:
        return None


def _ahead_seconds(date: str | None) -> float | None:
    if date is None:
        return None
    return (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
