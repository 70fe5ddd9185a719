"""The port to Redis: each call ends in time, with its own answer or none."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from statistics import median
from typing import Protocol
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.breaker import Breaker, BreakerPolicy, BreakerState
from shared.cache import Cache, Script, key_part, pattern_of
from shared.errors import CacheUnavailableError
from shared.redis_connection import WAITING_MAX, RedisConnection

PATIENCE_SECONDS = 10.0  # where time does not matter, on a machine that others use too
TIMEOUT_SECONDS = 0.6
MARGIN_SECONDS = 0.4
NEVER_OPENS = BreakerPolicy(failure_threshold=10**9, recovery_seconds=1, success_threshold=1)
READ = Script("return redis.call('GET', KEYS[1])")


class PrivateRedis(Protocol):
    """A Redis that one test has for itself; the shared code may not know who runs it."""

    @property
    def url(self) -> str: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def kill(self) -> None: ...

    def start(self) -> None: ...

    def wait_until_ready(self) -> None: ...


def cache_at(url: str, timeout_seconds: float = PATIENCE_SECONDS) -> Cache:
    return Cache(url, Breaker("redis", NEVER_OPENS, timeout_seconds=timeout_seconds))


@pytest.fixture
async def cache(redis_url: str) -> AsyncIterator[Cache]:
    """A cache on the Redis that all tests share."""
    made = cache_at(redis_url)
    yield made
    await made.close()


@pytest.fixture
async def own_cache(private_redis: PrivateRedis) -> AsyncIterator[Cache]:
    """A cache on a Redis of the test's own."""
    made = cache_at(private_redis.url)
    yield made
    await made.close()


@pytest.fixture
async def quick_cache(private_redis: PrivateRedis) -> AsyncIterator[Cache]:
    """The same, with little patience."""
    made = cache_at(private_redis.url, TIMEOUT_SECONDS)
    yield made
    await made.close()


async def fill(cache: Cache, prefix: str, numbers: range) -> None:
    """Have each key hold its own name."""
    keys = [f"{prefix}{number}" for number in numbers]
    await asyncio.gather(*(cache.set_if_absent(key, key.encode(), 600) for key in keys))


def right_ones(keys: Sequence[str], answers: Sequence[object]) -> int:
    """Count the answers; each is the one to its own key, or there is none."""
    given = [
        (key, answer)
        for key, answer in zip(keys, answers, strict=True)
        if not isinstance(answer, CacheUnavailableError)
    ]
    assert [answer for _, answer in given] == [key.encode() for key, _ in given]
    return len(given)


async def refusal_seconds(call: Callable[[], Awaitable[object]]) -> float:
    began = time.monotonic()
    with pytest.raises(CacheUnavailableError):
        await call()
    return time.monotonic() - began


async def test_the_first_value_stays_and_is_shown_to_those_who_come_later(
    cache: Cache, cache_prefix: str
) -> None:
    first = await cache.set_if_absent(f"{cache_prefix}a", b"one\x00\xff", 600)
    second = await cache.set_if_absent(f"{cache_prefix}a", b"two", 600)

    assert (first, second) == (None, b"one\x00\xff")


async def test_a_value_is_forgotten_after_its_time(cache: Cache, cache_prefix: str) -> None:
    await cache.set_if_absent(f"{cache_prefix}a", b"one", 1)
    await asyncio.sleep(1.1)

    assert await cache.set_if_absent(f"{cache_prefix}a", b"two", 600) is None


async def test_calls_at_the_same_time_share_a_connection_and_each_gets_its_own_answer(
    own_cache: Cache,
) -> None:
    await fill(own_cache, "k", range(300))
    answers = await asyncio.gather(
        *(own_cache.run_script(READ, [f"k{number}"], []) for number in range(300))
    )
    clients = await own_cache.run_script(Script("return redis.call('INFO', 'clients')"), [], [])

    assert answers == [f"k{number}".encode() for number in range(300)]
    assert b"connected_clients:1\r\n" in clients


async def test_who_is_cancelled_at_any_moment_changes_nothing_for_the_others(
    cache: Cache, cache_prefix: str
) -> None:
    await fill(cache, cache_prefix, range(300))
    chance = random.Random(7)
    for _ in range(30):
        keys = [f"{cache_prefix}{number}" for number in chance.sample(range(300), 40)]
        calls = [asyncio.create_task(cache.set_if_absent(key, b"other", 600)) for key in keys]
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
        cancelled = chance.sample(calls, 20)
        for call in cancelled:
            call.cancel()
        answers = await asyncio.gather(*calls, return_exceptions=True)

        kept = [pair for pair in zip(keys, answers, calls, strict=True) if pair[2] not in cancelled]
        assert [answer for _, answer, _ in kept] == [key.encode() for key, _, _ in kept]


async def test_a_redis_that_stands_still_costs_the_time_out_and_then_nothing(
    private_redis: PrivateRedis,
) -> None:
    policy = BreakerPolicy(failure_threshold=3, recovery_seconds=30, success_threshold=1)
    breaker = Breaker("redis", policy, timeout_seconds=TIMEOUT_SECONDS)
    cache = Cache(private_redis.url, breaker)
    await cache.ping()
    private_redis.pause()

    slow = [await refusal_seconds(cache.ping) for _ in range(3)]
    quick = [await refusal_seconds(cache.ping) for _ in range(100)]

    assert max(slow) < TIMEOUT_SECONDS + MARGIN_SECONDS
    assert breaker.snapshot().state is BreakerState.OPEN
    assert median(quick) < 0.01
    await cache.close()


async def test_many_who_call_while_redis_stands_still_all_wait_no_longer_than_the_time_out(
    private_redis: PrivateRedis, quick_cache: Cache
) -> None:
    await quick_cache.ping()
    private_redis.pause()

    async def one_by_one(number: int) -> float:
        await asyncio.sleep(number / 1000)
        return await refusal_seconds(quick_cache.ping)

    seconds = await asyncio.gather(*(one_by_one(number) for number in range(500)))

    assert max(seconds) < 2 * TIMEOUT_SECONDS  # whoever waited behind another would need that


async def test_after_a_standstill_the_answers_to_older_calls_reach_nobody(
    private_redis: PrivateRedis, quick_cache: Cache
) -> None:
    keys = [f"k{number}" for number in range(100)]
    await fill(quick_cache, "k", range(100))
    right = 0
    for _ in range(4):
        private_redis.pause()
        old = [quick_cache.run_script(READ, [key], []) for key in keys[:50]]
        refused = await asyncio.gather(*old, return_exceptions=True)
        private_redis.resume()
        new = [quick_cache.run_script(READ, [key], []) for key in keys[50:]]

        right += right_ones(keys[50:], await asyncio.gather(*new, return_exceptions=True))
        assert {type(one) for one in refused} == {CacheUnavailableError}
    assert right > 0


class Holding:
    """A proxy that lets so many bytes of answers through, and the others once it may."""

    def __init__(self, url: str) -> None:
        self.target = urlsplit(url)
        self.bytes_left = 0
        self.may_go_on = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_connection(
            self.target.hostname, self.target.port
        )
        self.tasks.append(asyncio.create_task(self.pump(reader, back_writer, holds=False)))
        self.tasks.append(asyncio.create_task(self.pump(back_reader, writer, holds=True)))

    async def pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, holds: bool
    ) -> None:
        while data := await source.read(65536):
            if holds and not self.may_go_on.is_set():
                sink.write(data[: self.bytes_left])
                data, self.bytes_left = data[self.bytes_left :], 0
                await self.may_go_on.wait()
            sink.write(data)
        sink.close()


@asynccontextmanager
async def holding(url: str) -> AsyncIterator[tuple[Holding, str]]:
    """Put such a proxy before a Redis; give it, and the URL that leads through it."""
    proxy = Holding(url)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    yield proxy, f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    server.close()
    await asyncio.gather(*proxy.tasks)


@pytest.mark.parametrize("passes", [0, 1, 4, 5, 7, 12, 13, 20])
async def test_an_answer_that_stops_in_its_middle_and_goes_on_too_late_reaches_nobody(
    cache: Cache, cache_prefix: str, redis_url: str, passes: int
) -> None:
    keys = [f"{cache_prefix}{number}" for number in range(4)]
    await fill(cache, cache_prefix, range(4))
    await asyncio.gather(*(cache.run_script(READ, [key], []) for key in keys))
    async with holding(redis_url) as (proxy, url):
        through = cache_at(url, TIMEOUT_SECONDS)
        proxy.bytes_left = passes
        held = [through.run_script(READ, [key], []) for key in keys[:2]]
        refused = await asyncio.gather(*held, return_exceptions=True)
        proxy.may_go_on.set()

        new = [through.run_script(READ, [key], []) for key in keys[2:]]
        answers = await asyncio.gather(*new, return_exceptions=True)

        assert {type(one) for one in refused} == {CacheUnavailableError}
        right_ones(keys[2:], answers)
        await through.close()


async def test_a_redis_that_was_killed_is_found_again_at_the_first_call(
    private_redis: PrivateRedis, own_cache: Cache
) -> None:
    await own_cache.ping()
    private_redis.kill()
    gone = await refusal_seconds(own_cache.ping)
    private_redis.start()
    private_redis.wait_until_ready()

    await own_cache.ping()

    assert gone < PATIENCE_SECONDS / 2  # it was refused, not waited for


async def test_a_redis_that_started_anew_between_two_calls_is_not_missed(
    private_redis: PrivateRedis, own_cache: Cache
) -> None:
    await own_cache.run_script(READ, ["k"], [])
    private_redis.kill()
    private_redis.start()
    private_redis.wait_until_ready()
    await asyncio.sleep(0.01)  # the goodbye arrives

    assert await own_cache.run_script(READ, ["k"], []) is None


async def test_nothing_connects_before_the_first_call_and_nothing_is_left_after_the_last() -> None:
    before = asyncio.all_tasks()
    cache = cache_at("redis://127.0.0.1:1/0")

    seconds = await refusal_seconds(cache.ping)

    assert seconds < PATIENCE_SECONDS / 2
    assert asyncio.all_tasks() == before
    await cache.close()


async def test_closing_ends_those_who_wait(private_redis: PrivateRedis) -> None:
    cache = cache_at(private_redis.url)
    await cache.ping()
    private_redis.pause()
    waiting = [asyncio.create_task(cache.ping()) for _ in range(3)]
    await asyncio.sleep(0.02)

    await cache.close()

    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(end) for end in ends] == ["Redis: closed"] * 3


async def test_no_more_wait_than_a_bound_allows(private_redis: PrivateRedis) -> None:
    connection = RedisConnection(private_redis.url, PATIENCE_SECONDS)
    await connection.call("PING")
    private_redis.pause()
    sent = asyncio.create_task(connection.call("PING"))
    await asyncio.sleep(0.01)
    waiting = [asyncio.create_task(connection.call("PING")) for _ in range(WAITING_MAX)]
    await asyncio.sleep(0)

    with pytest.raises(CacheUnavailableError, match="too many wait"):
        await connection.call("PING")

    await connection.close()
    await asyncio.gather(sent, *waiting, return_exceptions=True)


async def test_a_script_that_redis_has_forgotten_is_told_again(
    private_redis: PrivateRedis, own_cache: Cache
) -> None:
    await fill(own_cache, "k", range(1))
    operator = RedisConnection(private_redis.url, PATIENCE_SECONDS)
    for _ in range(3):
        assert await own_cache.run_script(READ, ["k0"], []) == b"k0"
        await operator.call("SCRIPT", "FLUSH")
    await operator.close()


async def test_what_redis_refuses_is_the_fault_of_that_call_alone(
    cache: Cache, cache_prefix: str
) -> None:
    push = Script("return redis.call('LPUSH', KEYS[1], 'x')")
    await cache.run_script(push, [f"{cache_prefix}list"], [])
    await fill(cache, cache_prefix, range(10))
    wrong = cache.set_if_absent(f"{cache_prefix}list", b"v", 600)
    right = [cache.set_if_absent(f"{cache_prefix}{number}", b"v", 600) for number in range(10)]

    [refused, *answers] = await asyncio.gather(wrong, *right, return_exceptions=True)

    assert isinstance(refused, CacheUnavailableError)
    assert "WRONGTYPE" in str(refused)
    assert answers == [f"{cache_prefix}{number}".encode() for number in range(10)]


async def test_a_user_and_a_password_in_the_url_are_shown_to_redis(
    private_redis: PrivateRedis, own_cache: Cache
) -> None:
    connection = RedisConnection(private_redis.url, PATIENCE_SECONDS)
    await connection.call("ACL", "SETUSER", "ingress", "on", ">secret", "~mine:*", "+@all")
    await connection.close()
    address = private_redis.url.removeprefix("redis://")
    known, unknown = (cache_at(f"redis://ingress:{word}@{address}") for word in ("secret", "wrong"))

    assert await known.set_if_absent("mine:a", b"v", 600) is None
    with pytest.raises(CacheUnavailableError, match="permissions"):
        await known.set_if_absent("theirs:a", b"v", 600)
    with pytest.raises(CacheUnavailableError) as caught:
        await unknown.ping()
    assert "wrong" not in str(caught.value)
    await known.close()
    await unknown.close()


async def test_a_scan_finds_what_begins_with_a_text_of_any_signs(
    cache: Cache, cache_prefix: str
) -> None:
    prefix = cache_prefix + "a*b?[c]\\d^:"
    await fill(cache, prefix, range(3))
    await fill(cache, f"{cache_prefix}aXb", range(3))

    found, cursor = set[bytes](), 0
    while True:
        cursor, keys = await cache.scan(cursor, pattern_of(prefix) + "*", 1000)
        found |= set(keys)
        if cursor == 0:
            break

    assert found == {f"{prefix}{number}".encode() for number in range(3)}
    assert await cache.delete(sorted(found)) == 3
    assert await cache.delete([]) == 0


@given(st.text(max_size=200), st.text(max_size=200))
def test_names_in_keys_are_short_have_no_colon_and_stay_different(one: str, other: str) -> None:
    parts = key_part(one), key_part(other)

    assert all(len(part) <= 128 and ":" not in part and part.isascii() for part in parts)
    assert (parts[0] == parts[1]) is (one == other)


def test_a_long_name_is_not_taken_for_a_name_that_looks_like_its_short_form() -> None:
    assert key_part("x" * 500) != key_part(key_part("x" * 500))
