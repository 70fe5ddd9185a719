"""The other processes, asked at their admin addresses: real admin servers, and some odd ones."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from services.enrollment.ingress.peers import Peers, PeerStatus
from services.enrollment.ingress.tests.processes import WAITING, Peer, listening
from shared.breaker import BreakerState
from shared.tests.test_process import free_port


@asynccontextmanager
async def odd_server(answer: bytes | None) -> AsyncIterator[str]:
    """Listen, and answer this to whatever comes; nothing at all for None."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        if answer is None:
            await ended.wait()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    ended.set()
    server.close()
    await server.wait_closed()


def peers_of(own: Peer, *urls: str, **options: Any) -> Peers:
    return Peers(", ".join(urls), own.admin, **options)


async def in_seconds(work: Callable[[], Awaitable[Any]]) -> tuple[Any, float]:
    began = time.monotonic()
    result = await work()
    return result, time.monotonic() - began


def healthy_names(found: list[PeerStatus]) -> list[str]:
    return [one.name for one in found if one.health is not None]


async def test_every_process_tells_how_it_is_and_which_breakers_it_has() -> None:
    own, capacity = Peer("ingress", "http.redis"), Peer("capacity", "database", "kafka")
    capacity.breakers["kafka"].open()
    async with listening(capacity):
        found = await peers_of(own, capacity.url).statuses()

    assert healthy_names(found) == ["capacity/1", "ingress/1"]
    health = found[0].health
    assert health is not None
    assert (health.ready, health.checks["group_joined"]) == (True, True)
    assert health.waiting is not None
    assert health.waiting.model_dump() == WAITING
    assert {name: one.state for name, one in found[0].breakers.items()} == {
        "database": BreakerState.CLOSED,
        "kafka": BreakerState.OPEN,
    }
    assert list(found[1].breakers) == ["http.redis"]


async def test_a_process_that_is_not_ready_tells_how_it_is_all_the_same() -> None:
    own, student = Peer("ingress"), Peer("student", "database", is_ready=False)
    async with listening(student):
        found = await peers_of(own, student.url).statuses()

    health = found[1].health
    assert health is not None
    assert (health.service, health.ready, health.waiting) == ("student", False, None)


async def test_this_process_is_known_without_an_address_and_counts_once_with_one() -> None:
    own = Peer("ingress", "http.redis")
    async with listening(own):
        alone = await peers_of(own).statuses()
        listed = await peers_of(own, own.url).statuses()

    assert healthy_names(alone) == ["ingress/1"]
    assert listed == alone


async def test_those_that_do_not_answer_are_listed_by_their_address_and_delay_nobody() -> None:
    own, capacity = Peer("ingress"), Peer("capacity", "database")
    nobody = f"http://127.0.0.1:{free_port()}"
    nonsense = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
    async with (
        listening(capacity),
        odd_server(None) as silent,
        odd_server(b"what?") as no_http,
        odd_server(nonsense) as no_health,
    ):
        odd = [silent, no_http, no_health, nobody]
        found, seconds = await in_seconds(peers_of(own, *odd, capacity.url).statuses)

    assert healthy_names(found) == ["capacity/1", "ingress/1"]
    assert {one.name for one in found if one.health is None} == set(odd)
    assert 0.25 < seconds < 0.6


async def test_a_host_of_several_addresses_stands_for_a_process_at_each() -> None:
    port = free_port()
    own = Peer("ingress")
    peers = [
        Peer("capacity", "database", port=port),
        Peer("student", "database", port=port, host="127.0.0.2"),
    ]

    async def look_up(host: str, _port: int) -> list[str]:
        assert host == "workers"
        return ["127.0.0.1", "127.0.0.2"]

    async with listening(*peers):
        asked = peers_of(own, f"http://workers:{port}", look_up=look_up)
        found = await asked.statuses()
        reset = await asked.reset_breaker("database")

    assert healthy_names(found) == ["capacity/1", "ingress/1", "student/1"]
    assert reset == {"capacity/1": True, "student/1": True}


async def test_a_host_name_is_found_by_the_resolver_of_the_machine() -> None:
    own, capacity = Peer("ingress"), Peer("capacity")
    async with listening(capacity):
        found = await peers_of(own, f"http://localhost:{capacity.port}").statuses()

    assert [one.name for one in found] == ["capacity/1", "ingress/1"]


async def test_a_host_that_is_not_found_is_listed_and_its_old_addresses_count_on() -> None:
    own, capacity = Peer("ingress"), Peer("capacity")
    answers = iter([None, ["127.0.0.1"], None])

    async def look_up(_host: str, _port: int) -> list[str]:
        answer = next(answers)
        if answer is None:
            raise OSError("no such host")
        return answer

    async with listening(capacity):
        peers = peers_of(own, f"http://workers:{capacity.port}", look_up=look_up)
        found = [[one.name for one in await peers.statuses()] for _ in range(3)]

    assert found == [
        [f"http://workers:{capacity.port}", "ingress/1"],
        ["capacity/1", "ingress/1"],
        ["capacity/1", "ingress/1"],
    ]


async def test_a_resolver_that_hangs_delays_nobody_and_is_asked_one_thing_at_a_time() -> None:
    own, capacity = Peer("ingress"), Peer("capacity")
    comes, asked = asyncio.Event(), []

    async def look_up(host: str, _port: int) -> list[str]:
        asked.append(host)
        await comes.wait()
        return ["127.0.0.1"]

    async with listening(capacity):
        peers = peers_of(own, f"http://workers:{capacity.port}", look_up=look_up)
        first, seconds = await in_seconds(peers.statuses)
        await peers.statuses()
        asked_meanwhile = list(asked)
        comes.set()
        later = await peers.statuses()

    assert healthy_names(first) == ["ingress/1"]
    assert seconds < 0.6
    assert asked_meanwhile == ["workers"]
    assert healthy_names(later) == ["capacity/1", "ingress/1"]


async def test_a_reset_reaches_all_that_have_the_breaker_and_tells_who_does_not_answer() -> None:
    own = Peer("ingress", "database", "http.database", "http.redis")
    capacity, student = Peer("capacity", "database", "kafka"), Peer("student", "kafka")
    for peer in (own, capacity, student):
        peer.open_all()
    nobody = f"http://127.0.0.1:{free_port()}"
    async with listening(capacity, student):
        done = await peers_of(own, capacity.url, student.url, nobody).reset_breaker("database")

    assert done == {"capacity/1": True, "ingress/1": True, nobody: False}
    assert capacity.states() == {"database": BreakerState.CLOSED, "kafka": BreakerState.OPEN}
    assert student.states() == {"kafka": BreakerState.OPEN}
    assert own.states() == {
        "database": BreakerState.CLOSED,
        "http.database": BreakerState.CLOSED,
        "http.redis": BreakerState.OPEN,
    }


async def test_a_reset_of_what_nobody_has_is_done_nowhere() -> None:
    own, capacity = Peer("ingress", "http.redis"), Peer("capacity", "database")
    async with listening(capacity):
        done = await peers_of(own, capacity.url).reset_breaker("oracle")

    assert done == {}


async def test_of_many_that_ask_at_the_same_time_each_gets_an_answer_as_of_then() -> None:
    own, capacity = Peer("ingress"), Peer("capacity", "database")
    looks = 0

    async def look_up(_host: str, _port: int) -> list[str]:
        nonlocal looks
        looks += 1
        return ["127.0.0.1"]

    async with listening(capacity):
        peers = peers_of(own, capacity.url, look_up=look_up)
        before = [asyncio.create_task(peers.statuses()) for _ in range(200)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        capacity.open_all()
        after = await asyncio.gather(*(peers.statuses() for _ in range(200)))
        found = [*await asyncio.gather(*before), *after]

    assert all(healthy_names(one) == ["capacity/1", "ingress/1"] for one in found)
    assert {one[0].breakers["database"].state for one in after} == {BreakerState.OPEN}
    assert looks <= 2
