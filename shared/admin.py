"""The admin server of each process: /metrics, /health/live, /health/ready, /breakers."""

from collections.abc import Callable, Mapping
from typing import Any

import mode
from aiohttp import web

from shared.breaker import Breaker, dependency_of

Checks = Callable[[], Mapping[str, bool]]


class AdminServer(mode.Service):
    """Answers from memory, so that it is quick in any outage; it asks for no credentials."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        checks: Checks,
        details: Callable[[], Mapping[str, Any]],
        metrics: Callable[[], bytes],
        breakers: Mapping[str, Breaker],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._host = host
        self._port = port
        self._checks = checks
        self._details = details
        self._metrics = metrics
        self._breakers = breakers
        self._runner: web.AppRunner | None = None

    async def on_start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_get("/health/live", self._live)
        app.router.add_get("/health/ready", self._ready)
        app.router.add_get("/metrics", self._show_metrics)
        app.router.add_get("/breakers", self._show_breakers)
        app.router.add_post("/breakers/{name}/reset", self._reset)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def on_stop(self) -> None:
        """Close all connections."""
        if self._runner is not None:
            await self._runner.cleanup()

    def health(self) -> dict[str, Any]:
        """Tell whether the process is ready, and how it is."""
        checks = dict(self._checks())
        return {"ready": all(checks.values()), "checks": checks, **self._details()}

    def breakers(self) -> dict[str, dict[str, Any]]:
        """Show every breaker."""
        return _states(self._breakers)

    def reset(self, name: str) -> dict[str, dict[str, Any]]:
        """Reset the breaker of this name, and those that guard a dependency of this name."""
        meant = {
            known: breaker
            for known, breaker in self._breakers.items()
            if name in {known, dependency_of(known)}
        }
        for breaker in meant.values():
            breaker.reset()
        return _states(meant)

    async def _live(self, _request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def _ready(self, _request: web.Request) -> web.Response:
        health = self.health()
        return web.json_response(health, status=200 if health["ready"] else 503)

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), content_type="text/plain", charset="utf-8")

    async def _show_breakers(self, _request: web.Request) -> web.Response:
        return web.json_response(self.breakers())

    async def _reset(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        found = self.reset(name)
        if not found:
            return web.json_response({"unknown": name, "known": [*self._breakers]}, status=404)
        return web.json_response(found)


def _states(breakers: Mapping[str, Breaker]) -> dict[str, dict[str, Any]]:
    return {name: _state(breaker) for name, breaker in breakers.items()}


def _state(breaker: Breaker) -> dict[str, Any]:
    now = breaker.snapshot()
    return {
        "state": now.state.value,
        "failure_count": now.failure_count,
        "success_count": now.success_count,
        "consecutive_failures": now.consecutive_failures,
    }
