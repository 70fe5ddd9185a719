"""A collector that takes all spans and keeps none, until the way to it is cut."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from deploy.local import ports
from loadtests.chaos.proxy import Proxy, Route

LINK: Final = "all>collector"


@dataclass(frozen=True)
class Collector:
    """Where processes find it, and what can be done to the way there."""

    url: str
    proxy: Proxy


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing of connections that were cut: that is what they are for."""


@contextmanager
def running_collector() -> Iterator[Collector]:
    """Run one until the end of the block."""
    [port] = ports.keep_or_choose([LINK], {}).values()
    with _Server((ports.LOOPBACK, 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, name="collector", daemon=True).start()
        try:
            proxy = Proxy([Route(LINK, port, server.server_port)])
            try:
                yield Collector(f"http://{ports.LOOPBACK}:{port}", proxy)
            finally:
                proxy.close()
        finally:
            server.shutdown()
