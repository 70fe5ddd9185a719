"""Other processes of the system, as far as their admin servers show them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from shared.admin import AdminServer
from shared.breaker import Breaker, BreakerPolicy, BreakerState
from shared.tests.test_process import free_port

POLICY = BreakerPolicy(failure_threshold=1, recovery_seconds=60, success_threshold=1)
WAITING = {"outbox_depth": 3, "outbox_oldest_seconds": 1.5, "dead_letters": 2}


class Peer:
    """A process with an admin server."""

    def __init__(
        self,
        service: str,
        *breakers: str,
        host: str = "127.0.0.1",
        port: int | None = None,
        is_ready: bool = True,
    ) -> None:
        self.port = port or free_port()
        self.name = f"{service}/1"
        self.url = f"http://{host}:{self.port}"
        self.waiting: dict[str, Any] | None = WAITING if is_ready else None
        self.has_joined = True
        self.breakers = {name: Breaker(name, POLICY, timeout_seconds=1) for name in breakers}
        self.admin = AdminServer(
            host,
            self.port,
            checks=lambda: {"database": is_ready, "group_joined": self.has_joined},
            details=lambda: {
                "service": service,
                "instance": "1",
                "waiting": self.waiting,
                "unheard_of": "a newer version says more",
            },
            metrics=lambda: b"",
            breakers=self.breakers,
        )

    def open_all(self) -> None:
        for breaker in self.breakers.values():
            breaker.open()

    def states(self) -> dict[str, BreakerState]:
        return {name: one.snapshot().state for name, one in self.breakers.items()}


@asynccontextmanager
async def listening(*peers: Peer) -> AsyncIterator[None]:
    for peer in peers:
        await peer.admin.on_start()
    yield
    for peer in peers:
        await peer.admin.on_stop()
