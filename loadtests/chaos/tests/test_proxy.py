"""The proxy between real sockets."""

import socket
import threading
from collections.abc import Iterator

import pytest

from deploy.local.ports import LOOPBACK, keep_or_choose
from loadtests.chaos.proxy import Proxy, Route, Trouble

SILENT_SECONDS = 0.15
ANSWER_SECONDS = 5.0
LINK = "client>server"


class Echo:
    """A server that counts what it gets and sends it back."""

    def __init__(self) -> None:
        self._listener = socket.create_server((LOOPBACK, 0))
        self._is_closed = False
        self.port = self._listener.getsockname()[1]
        self.got = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                while chunk := connection.recv(1000):
                    self.got += chunk
                    connection.sendall(chunk)
            except OSError:
                return

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def port() -> int:
    return keep_or_choose(["proxy"], {})["proxy"]


@pytest.fixture
def proxy(echo: Echo, port: int) -> Iterator[Proxy]:
    made = Proxy([Route(LINK, port, echo.port)])
    yield made
    made.close()


@pytest.fixture
def client(proxy: Proxy, port: int) -> Iterator[socket.socket]:
    with connected(port) as made:
        yield made


def connected(port: int) -> socket.socket:
    return socket.create_connection((LOOPBACK, port), ANSWER_SECONDS)


def is_reset(port: int) -> bool:
    """Tell whether a new connection is; that may come as early as it is made."""
    try:
        with connected(port) as client:
            client.recv(1000)
    except ConnectionResetError:
        return True
    return False


def ask(client: socket.socket, text: bytes) -> bytes:
    client.sendall(text)
    return client.recv(1000)


def is_silent(client: socket.socket) -> bool:
    client.settimeout(SILENT_SECONDS)
    try:
        client.recv(1000)
    except TimeoutError:
        return True
    finally:
        client.settimeout(ANSWER_SECONDS)
    return False


def test_a_link_without_trouble_carries_bytes_both_ways(client: socket.socket) -> None:
    assert ask(client, b"hello") == b"hello"


def test_a_stalled_link_is_silent_and_loses_nothing(
    proxy: Proxy, client: socket.socket, echo: Echo
) -> None:
    ask(client, b"one")
    proxy.inflict(LINK, 1, Trouble.STALL)
    is_silent(client)  # until the proxy has heard of it

    client.sendall(b"two")
    was_silent = is_silent(client)
    got_meanwhile = echo.got
    proxy.lift(LINK, 1)
    after = client.recv(1000)

    assert was_silent
    assert got_meanwhile == b"one"
    assert after == b"two"


def test_a_cut_link_resets_its_connections_and_new_ones_until_it_is_mended(
    proxy: Proxy, client: socket.socket, port: int
) -> None:
    ask(client, b"one")

    proxy.inflict(LINK, 1, Trouble.CUT)
    with pytest.raises(ConnectionResetError):
        client.recv(1000)
    was_reset = is_reset(port)
    proxy.lift(LINK, 1)
    with connected(port) as mended:
        answer = ask(mended, b"three")

    assert was_reset
    assert answer == b"three"


def test_a_muted_link_has_the_work_done_and_loses_its_answer(
    proxy: Proxy, client: socket.socket, echo: Echo
) -> None:
    ask(client, b"one")
    proxy.inflict(LINK, 1, Trouble.MUTE)
    is_silent(client)

    client.sendall(b"two")
    was_silent = is_silent(client)
    proxy.lift(LINK, 1)

    assert was_silent
    assert echo.got == b"onetwo"
    with pytest.raises(ConnectionResetError):
        client.recv(1000)


def test_a_link_with_two_troubles_flows_when_both_are_over(
    proxy: Proxy, client: socket.socket
) -> None:
    ask(client, b"one")
    proxy.inflict(LINK, 1, Trouble.STALL)
    proxy.inflict(LINK, 2, Trouble.STALL)
    is_silent(client)

    client.sendall(b"two")
    proxy.lift(LINK, 1)
    still_silent = is_silent(client)
    proxy.lift(LINK, 2)
    after = client.recv(1000)

    assert still_silent
    assert after == b"two"


def test_a_client_hears_at_once_that_the_server_is_down(
    proxy: Proxy, port: int, echo: Echo
) -> None:
    echo.close()

    assert is_reset(port)
