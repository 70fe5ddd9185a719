"""What a server process is told by its environment: the framework, the server, and the port."""

import os
from importlib import import_module
from typing import Any, Final

from loadtests.frameworks.work import Work
from services.enrollment.ingress.settings import IngressSettings

FRAMEWORK: Final = "BENCH_FRAMEWORK"
SERVER: Final = "BENCH_SERVER"
PORT: Final = "BENCH_PORT"


def settings() -> IngressSettings:
    """Read the ingress's own settings."""
    return IngressSettings()


def port() -> int:
    """Give the port to listen on."""
    return int(os.environ[PORT])


def new_app() -> Any:
    """Make the application; what is not installed everywhere is imported only where it is asked."""
    module = import_module(f"loadtests.frameworks.apps.{os.environ[FRAMEWORK]}")
    return module.new_app(Work(settings()))


def serve() -> None:
    """Serve it until this process is stopped."""
    import_module(f"loadtests.frameworks.servers.{os.environ[SERVER]}").serve()
