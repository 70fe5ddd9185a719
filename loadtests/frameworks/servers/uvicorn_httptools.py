"""Uvicorn with the parser in C."""

import uvicorn

from deploy.local.ports import LOOPBACK
from loadtests.frameworks.told import new_app, port

KEEP_ALIVE_SECONDS = 30


def serve(http: str = "httptools") -> None:
    """Serve with this parser."""
    uvicorn.run(
        new_app(),
        host=LOOPBACK,
        port=port(),
        http=http,
        loop="uvloop",
        ws="none",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
