"""Thousands of requests and repeats while Redis is flushed, paused, cut off and killed."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from redis.exceptions import RedisError

from conftest import PrivateRedis
from services.enrollment.ingress.answers import Answer, Answers, Begun, Progress
from services.enrollment.ingress.quotas import Bucket, Quotas
from shared.breaker import Breaker, BreakerPolicy
from shared.cache import Cache
from shared.errors import CacheUnavailableError
from shared.redis_connection import RedisConnection

T = TypeVar("T")

TIMEOUT_SECONDS = 0.1
POLICY = BreakerPolicy(failure_threshold=5, recovery_seconds=0.2, success_threshold=3)
MARGIN_SECONDS = 0.1  # besides what the event loop itself is late
REQUESTS = 10_000
CLIENTS = 40
LENIENT = Bucket(per_second=1e5, burst=10**6)


def answer_to(key: str, body: str) -> Answer:
    """Give the one right answer: it follows from the request."""
    return Answer(202, f'{{"key":"{key}","body":"{body}"}}'.encode(), f"/enrollments/{key}{body}")


@dataclass
class Clients:
    """What the clients do, what they are told, and how long that took."""

    answers: Answers
    quotas: Quotas
    chance: Random
    bodies: dict[str, set[str]] = field(default_factory=dict)
    told: Counter[Progress] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    lies: list[tuple[str, str, Begun]] = field(default_factory=list)
    longest_seconds: float = 0.0

    async def send(self, number: int) -> None:
        await asyncio.sleep(self.chance.uniform(0, 0.04))
        key, body = self._choose(number)
        self.bodies.setdefault(key, set()).add(body)
        redis_key = self.answers.key_of("create", "S1", key, 0)
        await self._timed(self.quotas.take(key, "portal"))
        begun = await self._timed(self.answers.begin(redis_key, body, "create"))
        self.told[begun.progress] += 1
        if self._is_a_lie(key, body, begun):
            self.lies.append((key, body, begun))
        publishes = begun.progress not in {Progress.DONE, Progress.OTHER_BODY}
        if publishes and self.chance.random() > 0.1:  # one process in ten dies before it is done
            await asyncio.sleep(self.chance.uniform(0, 0.01))
            answer = answer_to(key, body)
            await self._timed(self.answers.finish(redis_key, body, answer, "create"))

    def _choose(self, number: int) -> tuple[str, str]:
        """Repeat one of the latest in 3 cases of 10; and a few of these with another body."""
        if number == 0 or self.chance.random() > 0.3:
            return f"k{number}", "one"
        key = f"k{self.chance.randrange(max(0, number - 200), number)}"
        return key, self.chance.choices(["one", "other"], [9, 1])[0]

    def _is_a_lie(self, key: str, body: str, begun: Begun) -> bool:
        match begun.progress:
            case Progress.DONE:
                return begun.answer != answer_to(key, body)
            case Progress.OTHER_BODY:
                return self.bodies[key] == {body}
            case Progress.IN_FLIGHT | Progress.FIRST | Progress.UNKNOWN:
                return begun.answer is not None

    async def _timed(self, call: Awaitable[T]) -> T:
        began = time.monotonic()
        result = await call
        self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)
        self.calls["calls"] += 1
        return result


@dataclass
class Faults:
    """Breaks a Redis in all ways, one after the other, until it is told to end."""

    redis: PrivateRedis
    operator: RedisConnection
    chance: Random
    done: Counter[str] = field(default_factory=Counter)
    is_over: bool = False

    async def go_on(self) -> None:
        ways = [self.flush, self.forget_scripts, self.cut, self.pause, self.kill]
        while not self.is_over:
            for way in self.chance.sample(ways, len(ways)):
                await asyncio.sleep(self.chance.uniform(0.1, 0.5))
                self.done[way.__name__] += 1
                await way()

    async def flush(self) -> None:
        await self._tell("FLUSHALL")

    async def forget_scripts(self) -> None:
        await self._tell("SCRIPT", "FLUSH")

    async def cut(self) -> None:
        await self._tell("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    async def pause(self) -> None:
        self.redis.pause()
        await asyncio.sleep(self.chance.uniform(0.05, 0.4))
        self.redis.resume()

    async def kill(self) -> None:
        await asyncio.to_thread(self.redis.kill)
        await asyncio.sleep(self.chance.uniform(0, 0.3))
        await asyncio.to_thread(self.redis.start)

    async def _tell(self, *command: str) -> None:
        with suppress(CacheUnavailableError, RedisError):  # it is just starting
            await self.operator.call(*command)


class Lateness:
    """How late the event loop itself was, at worst: no call can be quicker."""

    worst_seconds = 0.0
    is_over = False

    async def watch(self) -> None:
        while not self.is_over:
            began = time.monotonic()
            await asyncio.sleep(0.005)
            self.worst_seconds = max(self.worst_seconds, time.monotonic() - began - 0.005)


async def test_whatever_redis_does_no_answer_is_anothers_and_none_is_late(
    private_redis: PrivateRedis,
) -> None:
    breaker = Breaker("redis", POLICY, timeout_seconds=TIMEOUT_SECONDS)
    cache, chance = Cache(private_redis.url, breaker), Random(7)
    answers = Answers(cache, prefix="idempotency:", default_ttl_seconds=600, ttl_seconds={})
    clients = Clients(answers, Quotas(cache, student=LENIENT, client=LENIENT), chance)
    operator = RedisConnection(private_redis.url, TIMEOUT_SECONDS)
    faults, lateness = Faults(private_redis, operator, chance), Lateness()
    numbers = iter(range(REQUESTS))

    async def client() -> None:
        for number in numbers:
            await clients.send(number)

    async def all_clients() -> None:
        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        faults.is_over = lateness.is_over = True

    await asyncio.gather(all_clients(), faults.go_on(), lateness.watch())
    await operator.close()

    assert clients.lies == []
    assert clients.longest_seconds < TIMEOUT_SECONDS + MARGIN_SECONDS + lateness.worst_seconds
    assert {progress: clients.told[progress] > 20 for progress in Progress} == dict.fromkeys(
        Progress, True
    )
    assert min(faults.done[way] for way in ("flush", "forget_scripts", "cut", "pause", "kill")) >= 2
    await cache.close()
