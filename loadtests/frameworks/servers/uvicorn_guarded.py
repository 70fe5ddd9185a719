"""Uvicorn as the ingress has it: behind its own limits, and with a correlation id."""

import asyncio

import uvloop

from deploy.local.ports import LOOPBACK
from loadtests.frameworks.told import new_app, port, settings
from services.enrollment.ingress.http_server import HttpServer, connection_limits, guarded


def serve() -> None:
    """Serve."""
    uvloop.run(_serve())


async def _serve() -> None:
    app, limits = new_app(), settings()
    async with app.router.lifespan_context(app):
        server = HttpServer(guarded(app, limits), LOOPBACK, port(), connection_limits(limits))
        await server.start()
        await asyncio.Event().wait()
