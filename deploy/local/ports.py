"""Ports on the loopback address: kept from one start to the next, and whether somebody is there."""

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterable, Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path

LOOPBACK = "127.0.0.1"
FIRST_PORT = 10_000
CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 1.0
ANSWER_BYTES_MAX = 65_536

_claims: dict[int, int] = {}  # of this process: a file for each port, locked as long as it lives


def keep_or_choose(names: Iterable[str], remembered: Mapping[str, int]) -> dict[str, int]:
    """A port for each name: the remembered one as long as nobody else has taken it.

    It is this process's until that ends, or hands it over: others get other ports meanwhile.
    """
    chosen: dict[str, int] = {}
    for name in names:
        port = remembered.get(name)
        taken = set(remembered.values()) | set(chosen.values())
        keeps = port is not None and is_free(port) and _claim(port)
        chosen[name] = port if port is not None and keeps else _choose(taken)
    return chosen


def hand_over(chosen: Iterable[int]) -> None:
    """Let another process, such as a supervisor, have ports that were chosen here."""
    for port in chosen:
        os.close(_claims.pop(port))


def _choose(taken: set[int]) -> int:
    # Not a port that the kernel gives to outgoing connections: while our server is down, a client
    # that keeps trying could be given the very port it calls, connect to itself and keep it.
    end = _first_outgoing_port()
    start = FIRST_PORT if end > FIRST_PORT else 1024
    for _ in range(1000):
        port = random.randrange(start, end)
        if port not in taken and port not in _claims and is_free(port) and _claim(port):
            return port
    raise OSError(f"no free port between {start} and {end} on {LOOPBACK}")


def _claim(port: int) -> bool:
    """Whether the port is ours: it is free for a while, until a server of ours listens there."""
    if port in _claims:
        return True
    directory = Path(tempfile.gettempdir()) / f"enroll-ports-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    file = os.open(directory / str(port), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    _claims[port] = file
    return True


def _first_outgoing_port() -> int:
    setting = Path("/proc/sys/net/ipv4/ip_local_port_range")
    return int(setting.read_text().split()[0]) if setting.exists() else 32_768


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: a port whose last connections still linger is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def serves(port: int, path: str) -> bool:
    """Whether a server on this machine answers a GET with 200."""
    answer = ask(port, path)
    return answer is not None and answer[0] == 200


def ask(port: int, path: str) -> tuple[int, bytes] | None:
    """The status and the body that a server on this machine answers a GET with, if it does."""
    connection = HTTPConnection(LOOPBACK, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(ANSWER_BYTES_MAX)
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def accepts(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False
