"""Granian, which serves HTTP in Rust; its worker is a process, and counts with its parent."""

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.log import LogLevels

from deploy.local.ports import LOOPBACK
from loadtests.frameworks import told


def serve() -> None:
    """Serve."""
    Granian(
        f"{told.__name__}:{told.new_app.__name__}",
        address=LOOPBACK,
        port=told.port(),
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        log_level=LogLevels.warning,
        factory=True,
    ).serve()
