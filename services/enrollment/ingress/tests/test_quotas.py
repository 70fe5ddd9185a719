"""Token buckets in Redis, and in the process while Redis is away."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import PrivateRedis
from services.enrollment.ingress import quotas as module
from services.enrollment.ingress.quotas import Bucket, OwnCount, Quotas
from shared.breaker import Breaker, BreakerPolicy
from shared.cache import Cache, Script
from shared.redis_connection import RedisConnection

POLICY = BreakerPolicy(failure_threshold=10**9, recovery_seconds=1, success_threshold=1)
NOWHERE = "redis://127.0.0.1:1/0"
SLOW = Bucket(per_second=0.5, burst=3)
WIDE = Bucket(per_second=1000, burst=1000)
TTL = Script("return redis.call('PTTL', KEYS[1])")


def cache_at(url: str) -> Cache:
    return Cache(url, Breaker("redis", POLICY, timeout_seconds=10))


@pytest.fixture
async def cache(redis_url: str) -> AsyncIterator[Cache]:
    """The cache that all tests share."""
    made = cache_at(redis_url)
    yield made
    await made.close()


@pytest.fixture
def quotas(cache: Cache, cache_prefix: str) -> Quotas:
    """Three requests a student, a thousand a client; of this test alone."""
    return Quotas(cache, student=SLOW, client=WIDE, prefix=cache_prefix)


class Hand:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("url", [None, NOWHERE])
async def test_a_burst_goes_through_and_then_one_at_a_time(
    cache: Cache, cache_prefix: str, url: str | None
) -> None:
    used = cache if url is None else cache_at(url)
    quotas = Quotas(used, student=Bucket(2, burst=3), client=WIDE, prefix=cache_prefix)

    waits = [await quotas.take("S1", "portal") for _ in range(4)]
    await asyncio.sleep(waits[-1] + 0.01)

    assert waits[:3] == [0, 0, 0]
    assert 0 < waits[3] <= 0.5
    assert await quotas.take("S1", "portal") == 0
    assert await quotas.take("S1", "portal") > 0
    assert await quotas.take("S2", "portal") == 0


@pytest.mark.parametrize("url", [None, NOWHERE])
async def test_who_is_refused_takes_nothing_from_the_other_bucket(
    cache: Cache, cache_prefix: str, url: str | None
) -> None:
    used = cache if url is None else cache_at(url)
    quotas = Quotas(used, student=SLOW, client=Bucket(0.5, burst=5), prefix=cache_prefix)
    for _ in range(3):
        await quotas.take("S1", "portal")

    refused = [await quotas.take("S1", "portal") for _ in range(10)]
    others = [await quotas.take("S2", "portal") for _ in range(3)]
    student_again = [await quotas.take("S2", "elsewhere") for _ in range(2)]

    assert min(refused) > 0
    assert [wait > 0 for wait in others] == [False, False, True]
    assert [wait > 0 for wait in student_again] == [False, True]


async def test_staff_are_counted_by_their_program_alone(cache: Cache, cache_prefix: str) -> None:
    quotas = Quotas(cache, student=Bucket(0.5, 1), client=Bucket(0.5, 4), prefix=cache_prefix)

    waits = [await quotas.take(None, "desk") for _ in range(5)]

    assert [wait > 0 for wait in waits] == [False, False, False, False, True]


async def test_processes_share_the_buckets_and_no_token_is_given_twice(
    redis_url: str, cache_prefix: str
) -> None:
    caches = [cache_at(redis_url) for _ in range(3)]
    processes = [Quotas(one, student=SLOW, client=WIDE, prefix=cache_prefix) for one in caches]

    waits = await asyncio.gather(
        *(processes[number % 3].take("S1", "portal") for number in range(60))
    )

    assert waits.count(0) == SLOW.burst
    for one in caches:
        await one.close()


async def test_names_with_a_colon_are_names_like_others(quotas: Quotas) -> None:
    for _ in range(3):
        await quotas.take("S1:S2", "a:b")

    assert await quotas.take("S1:S2", "a:b") > 0
    assert await quotas.take("S1", "S2:a:b") == 0
    assert await quotas.take("S2", "b") == 0


async def test_a_bucket_is_forgotten_once_it_is_full_again(
    quotas: Quotas, cache: Cache, cache_prefix: str
) -> None:
    await quotas.take("S1", "portal")

    assert 1900 < await cache.run_script(TTL, [f"{cache_prefix}student:S1"], []) <= 2000
    assert await cache.run_script(TTL, [f"{cache_prefix}client:portal"], []) <= 1


async def test_a_clock_that_was_put_back_locks_nobody_out(
    quotas: Quotas, cache: Cache, cache_prefix: str
) -> None:
    tomorrow = str(int((time.time() + 86_400) * 1_000_000)).encode()
    await cache.set_if_absent(f"{cache_prefix}student:S1", tomorrow, 90_000)

    assert 0 < await quotas.take("S1", "portal") <= 2


async def test_buckets_outlive_a_redis_that_forgets_its_scripts(
    private_redis: PrivateRedis,
) -> None:
    cache = cache_at(private_redis.url)
    quotas = Quotas(cache, student=SLOW, client=WIDE)
    operator = RedisConnection(private_redis.url, 10)
    waits = []
    for _ in range(4):
        await operator.call("SCRIPT", "FLUSH")
        waits.append(await quotas.take("S1", "portal"))

    assert [wait > 0 for wait in waits] == [False, False, False, True]
    assert len(quotas._own_count) == 0
    await operator.close()
    await cache.close()


async def test_a_full_redis_lets_go_of_old_keys_and_refuses_nobody(
    private_redis: PrivateRedis,
) -> None:
    cache = cache_at(private_redis.url)
    quotas = Quotas(cache, student=SLOW, client=WIDE)
    operator = RedisConnection(private_redis.url, 10)
    await operator.call("CONFIG", "SET", "maxmemory", "3mb")
    for number in range(60):
        await cache.set_if_absent(f"k{number}", b"x" * 100_000, 600)

    waits = [await quotas.take(f"S{number}", "portal") for number in range(20)]

    assert set(waits) == {0}
    assert len(quotas._own_count) == 0
    await operator.close()
    await cache.close()


def test_the_process_keeps_no_more_buckets_than_a_bound_and_those_last_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BUCKETS_MAX", 10)
    own = OwnCount(Hand())

    for number in range(100):
        assert own.take([("client", WIDE), (f"S{number}", Bucket(1, 1))]) == 0

    assert len(own) == 10
    assert own.take([("S99", Bucket(1, 1))]) > 0
    assert own.take([("S50", Bucket(1, 1))]) == 0


@given(
    burst=st.integers(1, 50),
    per_second=st.sampled_from([0.1, 1 / 3, 3.0, 7.0, 1000.0, 5000.0]),
    steps=st.lists(st.floats(0, 3), max_size=60),
)
def test_never_more_than_the_burst_and_what_dripped_in_since(
    burst: int, per_second: float, steps: list[float]
) -> None:
    clock, bucket = Hand(), Bucket(per_second, burst)
    own, began, taken = OwnCount(clock), clock.now, 0

    for step in steps:
        clock.now += step / per_second
        wait = own.take([("S1", bucket)])
        taken += wait == 0
        assert taken <= burst + (clock.now - began) * per_second + 1e-3
        if wait > 0:
            assert wait <= bucket.drip_seconds + 1e-6
            assert taken >= burst
