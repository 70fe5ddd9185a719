"""Hypercorn, which parses HTTP in Python."""

import uvloop
from hypercorn.asyncio import serve as serve_until_stopped
from hypercorn.config import Config

from deploy.local.ports import LOOPBACK
from loadtests.frameworks.told import new_app, port

KEEP_ALIVE_SECONDS = 30
FOR_EVER = 10**9


def serve() -> None:
    """Serve."""
    config = Config()
    config.bind = [f"{LOOPBACK}:{port()}"]
    config.loglevel = "WARNING"
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.keep_alive_max_requests = FOR_EVER  # connections stay, as with the others
    uvloop.run(serve_until_stopped(new_app(), config))
