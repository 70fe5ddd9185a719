"""Stands in for a service: answers on its admin port with the environment it was given."""

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(dict(os.environ)).encode())

    def log_message(self, *_: Any) -> None:
        """Keeps the log empty."""


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(os.environ["ADMIN_PORT"])), Handler).serve_forever()
