"""Uvicorn with the parser in Python, the only one whose headers it bounds by itself."""

from loadtests.frameworks.servers import uvicorn_httptools


def serve() -> None:
    """Serve."""
    uvicorn_httptools.serve("h11")
