"""Remembered answers: the same again, another body, and whatever Redis has forgotten."""

import itertools
from collections.abc import AsyncIterator

import pytest

from conftest import PrivateRedis
from services.enrollment.ingress import answers as module
from services.enrollment.ingress.answers import Answer, Answers, Begun, Progress
from shared.breaker import Breaker, BreakerPolicy
from shared.cache import Cache, Script
from shared.errors import CacheUnavailableError
from shared.redis_connection import RedisConnection

POLICY = BreakerPolicy(failure_threshold=10**9, recovery_seconds=1, success_threshold=1)
TIMEOUT_SECONDS = 10.0  # time does not matter here
ANSWER = Answer(202, b'{"status":"pending"}\xff', "/enrollments/1")
OTHER_ANSWER = Answer(202, b'{"status":"pending","other":true}', "/enrollments/2")
BODY, OTHER_BODY = "a" * 64, "b" * 64
TTL = Script("return redis.call('TTL', KEYS[1])")
FLUSH = Script("return redis.call('FLUSHALL')")
AWKWARD_USERS = [
    "S1",
    "S1:S2",
    "S2",
    "*",
    "S?",
    "[S1]",
    "S1%3AS2",
    "create:S1",
    "",
    "é" * 300,
    "x" * 500,
    "\ud800",
]


def answers_in(cache: Cache, prefix: str = "idempotency:", *, is_enabled: bool = True) -> Answers:
    return Answers(
        cache,
        prefix=prefix,
        default_ttl_seconds=600,
        ttl_seconds={"cancel": 30},
        is_enabled=is_enabled,
    )


def cache_at(url: str) -> Cache:
    return Cache(url, Breaker("redis", POLICY, timeout_seconds=TIMEOUT_SECONDS))


@pytest.fixture
async def cache(redis_url: str) -> AsyncIterator[Cache]:
    """The cache that all tests share."""
    made = cache_at(redis_url)
    yield made
    await made.close()


@pytest.fixture
def answers(cache: Cache, cache_prefix: str) -> Answers:
    """Answers of this test alone."""
    return answers_in(cache, cache_prefix)


@pytest.fixture
async def own_cache(private_redis: PrivateRedis) -> AsyncIterator[Cache]:
    """A cache on a Redis of the test's own."""
    made = cache_at(private_redis.url)
    yield made
    await made.close()


async def remember(answers: Answers, key: str, operation: str = "create") -> None:
    await answers.begin(key, BODY, operation)
    assert await answers.finish(key, BODY, ANSWER, operation)


async def test_a_request_is_first_then_in_flight_then_done(answers: Answers) -> None:
    key = answers.key_of("create", "S1", "k", 0)

    first = await answers.begin(key, BODY, "create")
    again = await answers.begin(key, BODY, "create")
    is_remembered = await answers.finish(key, BODY, ANSWER, "create")
    later = await answers.begin(key, BODY, "create")

    assert (first, again) == (Begun(Progress.FIRST), Begun(Progress.IN_FLIGHT))
    assert is_remembered
    assert later == Begun(Progress.DONE, ANSWER)


async def test_a_key_with_another_body_is_found_out_also_while_the_first_is_in_flight(
    answers: Answers,
) -> None:
    key = answers.key_of("create", "S1", "k", 0)
    await answers.begin(key, BODY, "create")

    in_flight = await answers.begin(key, OTHER_BODY, "create")
    await answers.finish(key, BODY, ANSWER, "create")
    done = await answers.begin(key, OTHER_BODY, "create")

    assert in_flight == done == Begun(Progress.OTHER_BODY)


async def test_who_repeats_the_request_of_a_process_that_died_finishes_it(answers: Answers) -> None:
    key = answers.key_of("create", "S1", "k", 0)
    await answers.begin(key, BODY, "create")  # and no more

    repeated = await answers.begin(key, BODY, "create")
    await answers.finish(key, BODY, ANSWER, "create")

    assert repeated == Begun(Progress.IN_FLIGHT)
    assert await answers.begin(key, BODY, "create") == Begun(Progress.DONE, ANSWER)


async def test_an_answer_is_remembered_although_redis_forgot_that_it_was_begun(
    own_cache: Cache,
) -> None:
    answers = answers_in(own_cache)
    key = answers.key_of("create", "S1", "k", 0)
    await answers.begin(key, BODY, "create")
    await own_cache.run_script(FLUSH, [], [])

    assert await answers.finish(key, BODY, ANSWER, "create")
    assert await answers.begin(key, BODY, "create") == Begun(Progress.DONE, ANSWER)
    assert await answers.begin(key, OTHER_BODY, "create") == Begun(Progress.OTHER_BODY)


async def test_an_answer_does_not_replace_what_another_body_began_after_redis_forgot(
    own_cache: Cache,
) -> None:
    answers = answers_in(own_cache)
    key = answers.key_of("create", "S1", "k", 0)
    await answers.begin(key, BODY, "create")
    await own_cache.run_script(FLUSH, [], [])
    await answers.begin(key, OTHER_BODY, "create")

    late = await answers.finish(key, BODY, ANSWER, "create")
    in_flight = await answers.begin(key, OTHER_BODY, "create")
    await answers.finish(key, OTHER_BODY, OTHER_ANSWER, "create")
    later = await answers.finish(key, BODY, ANSWER, "create")

    assert (late, later) == (False, False)
    assert in_flight == Begun(Progress.IN_FLIGHT)
    assert await answers.begin(key, OTHER_BODY, "create") == Begun(Progress.DONE, OTHER_ANSWER)


@pytest.mark.parametrize(("operation", "seconds"), [("create", 600), ("cancel", 30)])
async def test_each_operation_has_its_own_time_to_live_which_repeats_do_not_prolong(
    answers: Answers, cache: Cache, operation: str, seconds: int
) -> None:
    key = answers.key_of(operation, "S1", "k", 0)
    await answers.begin(key, BODY, operation)
    begun = await cache.run_script(TTL, [key], [])
    await answers.finish(key, BODY, ANSWER, operation)
    done = await cache.run_script(TTL, [key], [])
    shorten = Script("return redis.call('EXPIRE', KEYS[1], 7)")
    await cache.run_script(shorten, [key], [])

    await answers.begin(key, BODY, operation)

    assert {begun, done} <= {seconds, seconds - 1}
    assert await cache.run_script(TTL, [key], []) <= 7


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"no JSON",
        b"{}",
        b"\xff",
        b'{"version":2,"fingerprint":"' + BODY.encode() + b'"}',
        b'{"version":1,"fingerprint":"' + BODY.encode() + b'","answer":{"status":202}}',
    ],
)
async def test_a_value_that_cannot_be_read_is_as_good_as_none(
    answers: Answers, cache: Cache, value: bytes
) -> None:
    key = answers.key_of("create", "S1", "k", 0)
    await cache.set_if_absent(key, value, 600)

    assert await answers.begin(key, BODY, "create") == Begun(Progress.UNKNOWN)


async def test_a_key_that_holds_no_text_is_as_good_as_none(answers: Answers, cache: Cache) -> None:
    key = answers.key_of("create", "S1", "k", 0)
    await cache.run_script(Script("return redis.call('LPUSH', KEYS[1], 'x')"), [key], [])

    assert await answers.begin(key, BODY, "create") == Begun(Progress.UNKNOWN)
    assert not await answers.finish(key, BODY, ANSWER, "create")


async def test_without_redis_nothing_is_known_and_nothing_remembered() -> None:
    answers = answers_in(cache_at("redis://127.0.0.1:1/0"))
    key = answers.key_of("create", "S1", "k", 0)

    assert await answers.begin(key, BODY, "create") == Begun(Progress.UNKNOWN)
    assert not await answers.finish(key, BODY, ANSWER, "create")
    with pytest.raises(CacheUnavailableError):
        await answers.statistics()
    with pytest.raises(CacheUnavailableError):
        await answers.delete_all()


async def test_switched_off_it_writes_nothing(cache: Cache, cache_prefix: str) -> None:
    off = answers_in(cache, cache_prefix, is_enabled=False)
    on = answers_in(cache, cache_prefix)
    key = off.key_of("create", "S1", "k", 0)

    assert await off.begin(key, BODY, "create") == Begun(Progress.UNKNOWN)
    assert not await off.finish(key, BODY, ANSWER, "create")
    assert await on.begin(key, BODY, "create") == Begun(Progress.FIRST)


def test_keys_differ_by_operation_user_key_and_attempt(answers: Answers) -> None:
    keys = {
        answers.key_of(operation, user, key, attempt)
        for operation in ("create", "cancel")
        for user in AWKWARD_USERS
        for key in ("k", "1:k", "k" * 1000, "\ud800")
        for attempt in (0, 1, 11)
    }

    assert len(keys) == 2 * len(AWKWARD_USERS) * 4 * 3
    assert max(map(len, keys)) < 300


async def test_the_answers_to_one_user_are_forgotten_and_no_other_users(
    answers: Answers, cache: Cache, cache_prefix: str
) -> None:
    for user, key in itertools.product(AWKWARD_USERS, ("k1", "k2")):
        await remember(answers, answers.key_of("create", user, key, 0))
    others = answers_in(cache, f"{cache_prefix}others:")
    await remember(others, others.key_of("create", "S1", "k", 0))

    for user in AWKWARD_USERS:
        assert await answers.delete_user(user) == 2, user
        assert await answers.delete_user(user) == 0, user

    assert (await others.begin(others.key_of("create", "S1", "k", 0), BODY, "create")).answer


async def test_one_answer_or_all_are_forgotten_but_no_key_of_others(
    answers: Answers, cache: Cache, cache_prefix: str
) -> None:
    keys = [answers.key_of("create", "S1", str(number), 0) for number in range(20)]
    for key in keys:
        await remember(answers, key)
    foreign = [f"{cache_prefix}create:S1", f"{cache_prefix}create:S1:{'0' * 63}", "\ud800"]
    for key in foreign[:2]:
        await cache.set_if_absent(key, b"v", 600)

    assert [await answers.delete(key) for key in foreign] == [0, 0, 0]
    assert [await answers.delete(keys[0]) for _ in range(2)] == [1, 0]
    assert await answers.begin(keys[0], OTHER_BODY, "create") == Begun(Progress.FIRST)
    assert await answers.delete_all() == 20
    assert await cache.set_if_absent(foreign[1], b"w", 600) == b"v"


async def test_statistics_count_the_answers_alone_and_show_some_keys(own_cache: Cache) -> None:
    answers = answers_in(own_cache)
    empty = await answers.statistics()
    keys = {answers.key_of("create", "S1", str(number), 0) for number in range(1500)}
    for key in keys:
        await remember(answers, key)
    for number in range(1500):
        await own_cache.set_if_absent(f"quota-student:{number}", b"v", 600)

    full = await answers.statistics()

    assert (empty.total, empty.sample_keys) == (0, ())
    assert (full.total, full.is_estimate) == (1500, False)
    assert len(set(full.sample_keys) & keys) == len(full.sample_keys) == 10


async def test_in_a_redis_with_very_many_keys_the_total_is_an_estimate(
    own_cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = answers_in(own_cache)
    for number in range(3000):
        await remember(answers, answers.key_of("create", "S1", str(number), 0))
        await own_cache.set_if_absent(f"quota-student:{number}", b"v", 600)
    monkeypatch.setattr(module, "PAGE", 20)

    found = await answers.statistics()

    assert found.is_estimate
    assert 2500 < found.total < 3500


async def test_answers_outlive_a_redis_that_forgets_its_scripts(
    private_redis: PrivateRedis, own_cache: Cache
) -> None:
    answers = answers_in(own_cache)
    operator = RedisConnection(private_redis.url, TIMEOUT_SECONDS)
    for number in range(3):
        await operator.call("SCRIPT", "FLUSH")
        await remember(answers, answers.key_of("create", "S1", str(number), 0))
    await operator.close()
