"""The plain client against a real server."""

import asyncio

import pytest

from loadtests.plain_http import client as client_module
from loadtests.plain_http.client import PlainClient, address_of
from loadtests.plain_http.connection import PlainConnection
from loadtests.plain_http.tests.server import answer, serving

REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"


async def test_a_connection_is_used_again_unless_the_server_closes_it() -> None:
    answers = iter([answer(200), answer(200, b"{}", "Connection: close"), answer(200)])
    client = PlainClient(connections=1)

    async with serving(lambda _: next(answers)) as served:
        found = [await client.ask(served.address, REQUEST) for _ in range(3)]
        await client.close()

    assert [one.status for one in found] == [200, 200, 200]
    assert served.connections == 2


async def test_who_asks_while_all_connections_are_at_work_waits() -> None:
    client = PlainClient(connections=2)

    async with serving(lambda _: answer(200, b"fine")) as served:
        served.delay_seconds = 0.05
        found = await asyncio.gather(*(client.ask(served.address, REQUEST) for _ in range(6)))
        await client.close()

    assert [one.body for one in found] == [b"fine"] * 6
    assert served.connections == 2


async def test_a_server_that_hangs_up_is_an_error_and_the_next_gets_a_new_connection() -> None:
    answers = iter([None, answer(200)])
    client = PlainClient(connections=1)

    async with serving(lambda _: next(answers)) as served:
        with pytest.raises(ConnectionResetError):
            await client.ask(served.address, REQUEST)
        again = await client.ask(served.address, REQUEST)
        await client.close()

    assert again.status == 200


async def test_a_server_that_hangs_up_before_it_is_asked_is_an_error_at_once() -> None:
    def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    client = PlainClient(connections=1)
    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        for _ in range(20):
            with pytest.raises(OSError, match="hung up"):
                await client.ask(server.sockets[0].getsockname(), REQUEST)
        await client.close()


async def test_a_connection_that_ended_while_nobody_looked_tells_who_uses_it() -> None:
    told: list[int | None] = []

    class Told:
        def answered(self, *_: object) -> None:
            raise AssertionError

        def lost(self, _connection: PlainConnection, number: int | None) -> None:
            told.append(number)

    async with serving(lambda _: answer(200)) as served:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: PlainConnection(Told()), *served.address
        )
        connection.abort()
        await asyncio.sleep(0)
        connection.send(7, REQUEST)

    assert told == [None, 7]


async def test_who_gets_no_answer_in_time_gives_up_and_takes_nobodys_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "ANSWER_SECONDS", 0.1)
    client = PlainClient(connections=1)

    async with serving(lambda _: answer(200)) as served:
        served.delay_seconds = 0.5
        with pytest.raises(TimeoutError):
            await client.ask(served.address, REQUEST)
        served.delay_seconds = 0.0
        assert (await client.ask(served.address, REQUEST)).status == 200
        await client.close()


def test_an_address_is_read_from_a_url_of_plain_http_alone() -> None:
    assert address_of("http://127.0.0.1:8080") == ("127.0.0.1", 8080)
    with pytest.raises(ValueError, match="only http"):
        address_of("https://127.0.0.1:8080")
