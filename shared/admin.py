"""The loopback server of each process: /metrics, /health/live, /health/ready."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import mode
from aiohttp import web

Checks = Callable[[], Mapping[str, bool]]


class AdminServer(mode.Service):
    """Serves on 127.0.0.1 only; answers from memory, so that it is quick in any outage."""

    def __init__(
        self,
        port: int,
        *,
        checks: Checks,
        details: Callable[[], Mapping[str, Any]],
        metrics: Callable[[], bytes],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._port = port
        self._checks = checks
        self._details = details
        self._metrics = metrics
        self._runner: web.AppRunner | None = None

    async def on_start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_get("/health/live", self._live)
        app.router.add_get("/health/ready", self._ready)
        app.router.add_get("/metrics", self._show_metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def on_stop(self) -> None:
        """Close all connections."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _live(self, _request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def _ready(self, _request: web.Request) -> web.Response:
        checks = dict(self._checks())
        ready = all(checks.values())
        body = {"ready": ready, "checks": checks, **self._details()}
        return web.Response(
            status=200 if ready else 503, text=json.dumps(body), content_type="application/json"
        )

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), content_type="text/plain", charset="utf-8")
