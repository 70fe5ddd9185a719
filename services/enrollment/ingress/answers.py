"""Answers that are remembered in Redis: what is asked again is answered again, and not redone.

They only save work, and show a key that is used for something else. That a request is decided
once follows from its enrollment id: all of this may be forgotten, late or out of reach.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.cache import Cache, Script, key_part, pattern_of
from shared.errors import CacheUnavailableError
from shared.redis_connection import Argument

PAGE: Final = 1000
PAGES_MAX: Final = 100_000
COUNTED_PAGES_MAX: Final = 100
SAMPLES: Final = 10

# An answer to another request is never replaced: its own came after Redis had forgotten ours.
FINISH: Final = Script("""
local known = redis.call('GET', KEYS[1])
if known and string.sub(known, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
""")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client is told."""

    status: int
    body: bytes
    location: str


class Progress(StrEnum):
    """How far the request is that first came with a key."""

    FIRST = "first"
    IN_FLIGHT = "in_flight"  # or its process has died: who repeats it does all of it again
    DONE = "done"
    OTHER_BODY = "other_body"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Begun:
    """What is known of a request; with its answer once that is done."""

    progress: Progress
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Statistics:
    """How many requests are remembered; counted in a part of a Redis that holds very many keys."""

    total: int
    sample_keys: tuple[str, ...]
    is_estimate: bool


class _Stored(BaseModel):
    """A value in Redis: its beginning, to the fingerprint, is the mark of its request."""

    model_config = ConfigDict(extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")

    version: Literal[1] = 1
    fingerprint: str
    answer: Answer | None = None

    def to_bytes(self) -> bytes:
        return self.model_dump_json(exclude_none=True).encode()


class Answers:
    """Knows which requests came before; knows nothing while Redis does not answer."""

    def __init__(
        self,
        cache: Cache,
        *,
        prefix: str,
        default_ttl_seconds: int,
        ttl_seconds: Mapping[str, int],
        is_enabled: bool = True,
        looked_up: Callable[[Progress], None] = lambda _progress: None,
    ) -> None:
        assert all(seconds >= 1 for seconds in (default_ttl_seconds, *ttl_seconds.values()))
        self._cache = cache
        self._prefix = prefix
        self._default_ttl_seconds = default_ttl_seconds
        self._ttl_seconds = ttl_seconds
        self._is_enabled = is_enabled
        self._looked_up = looked_up
        self._own_key = re.compile(re.escape(prefix.encode()) + rb"[a-z_]+:[^:]*:[0-9a-f]{64}")

    def key_of(self, operation: str, user: str, key: str, attempt: int) -> str:
        """Give the key in Redis of a request and its repeats."""
        named = sha256(f"{attempt}:{key}".encode(errors="surrogatepass")).hexdigest()
        return f"{self._prefix}{operation}:{key_part(user)}:{named}"

    async def begin(self, redis_key: str, fingerprint: str, operation: str) -> Begun:
        """Mark a request as begun, or tell what is known of it."""
        begun = await self._begin(redis_key, fingerprint, operation)
        self._looked_up(begun.progress)
        return begun

    async def _begin(self, redis_key: str, fingerprint: str, operation: str) -> Begun:
        if not self._is_enabled:
            return Begun(Progress.UNKNOWN)
        mark = _Stored(fingerprint=fingerprint).to_bytes()
        try:
            known = await self._cache.set_if_absent(redis_key, mark, self._ttl(operation))
        except CacheUnavailableError:
            return Begun(Progress.UNKNOWN)
        return Begun(Progress.FIRST) if known is None else _read(known, fingerprint)

    async def finish(
        self, redis_key: str, fingerprint: str, answer: Answer, operation: str
    ) -> bool:
        """Remember an answer, and tell whether that was done."""
        if not self._is_enabled:
            return False
        mark = _Stored(fingerprint=fingerprint).to_bytes().removesuffix(b"}")
        value = _Stored(fingerprint=fingerprint, answer=answer).to_bytes()
        arguments: list[Argument] = [mark, value, self._ttl(operation)]
        try:
            return bool(await self._cache.run_script(FINISH, [redis_key], arguments))
        except CacheUnavailableError:
            return False

    async def statistics(self) -> Statistics:
        """Count what is remembered; raises CacheUnavailableError."""
        cursor, seen, own, samples = 0, 0, 0, list[bytes]()
        for _ in range(COUNTED_PAGES_MAX):
            cursor, keys = await self._cache.scan(cursor, "*", PAGE)
            found = self._own(keys)
            seen, own, samples = seen + len(keys), own + len(found), (samples + found)[:SAMPLES]
            if cursor == 0:
                break
        else:  # a page is as good as drawn by lot
            own = round(await self._cache.size() * own / max(seen, 1))
        return Statistics(own, tuple(key.decode() for key in samples), is_estimate=cursor != 0)

    async def delete(self, redis_key: str) -> int:
        """Forget one answer and count it, if it is one; raises CacheUnavailableError."""
        return await self._cache.delete(self._own([redis_key.encode(errors="surrogatepass")]))

    async def delete_user(self, user: str) -> int:
        """Forget the answers to one user and count them; raises CacheUnavailableError."""
        return await self._delete_like(
            f"{pattern_of(self._prefix)}*:{pattern_of(key_part(user))}:*"
        )

    async def delete_all(self) -> int:
        """Forget all answers and count them; raises CacheUnavailableError."""
        return await self._delete_like(f"{pattern_of(self._prefix)}*")

    async def _delete_like(self, pattern: str) -> int:
        deleted, cursor = 0, 0
        for _ in range(PAGES_MAX):
            cursor, keys = await self._cache.scan(cursor, pattern, PAGE)
            deleted += await self._cache.delete(self._own(keys))
            if cursor == 0:
                return deleted
        raise CacheUnavailableError(f"Redis holds more than {PAGES_MAX * PAGE} keys")

    def _own(self, keys: Iterable[bytes]) -> list[bytes]:
        return [key for key in keys if self._own_key.fullmatch(key)]

    def _ttl(self, operation: str) -> int:
        return self._ttl_seconds.get(operation, self._default_ttl_seconds)


def _read(value: bytes, fingerprint: str) -> Begun:
    try:
        stored = _Stored.model_validate_json(value)
    except ValidationError:  # of another version, or nobody's: as good as none
        return Begun(Progress.UNKNOWN)
    if stored.fingerprint != fingerprint:
        return Begun(Progress.OTHER_BODY)
    if stored.answer is None:
        return Begun(Progress.IN_FLIGHT)
    return Begun(Progress.DONE, stored.answer)
