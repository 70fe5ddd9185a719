"""The port to Redis, for what may be forgotten at any moment."""

from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha1, sha256
from typing import Any, Final, cast
from urllib.parse import quote

from redis.exceptions import NoScriptError, RedisError

from shared.breaker import Breaker, BreakerOpen
from shared.errors import CacheUnavailableError
from shared.redis_connection import Argument, RedisConnection

KEY_PART_LENGTH_MAX: Final = 128


class Script:
    """Commands that Redis runs in one step; it knows them by the hash of their text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()


class Cache:
    """Every call ends within the breaker's time-out: with an answer or CacheUnavailableError.

    A call is tried once, and what it asked for may still be done later by a Redis that stood
    still: whoever calls must be right whether it was done or not.
    """

    def __init__(self, url: str, breaker: Breaker) -> None:
        self._breaker = breaker
        self._connection = RedisConnection(url, breaker.timeout_seconds)

    async def set_if_absent(self, key: str, value: bytes, ttl_seconds: int) -> bytes | None:
        """Set a value and give None, or give the value that is there already."""
        was = await self._guarded(
            self._connection.call, "SET", key, value, "NX", "GET", "EX", ttl_seconds
        )
        return cast("bytes | None", was)

    async def run_script(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]
    ) -> Any:
        """Run a script; Redis is sent its text only where it does not know it."""
        return await self._guarded(self._run, script, len(keys), *keys, *arguments)

    async def scan(self, cursor: int, pattern: str, count: int) -> tuple[int, list[bytes]]:
        """Give a page of the keys like `pattern`, and the next page's cursor; 0 ends and begins."""
        next_cursor, keys = await self._guarded(
            self._connection.call, "SCAN", cursor, "MATCH", pattern, "COUNT", count
        )
        return int(next_cursor), keys

    async def delete(self, keys: Sequence[str | bytes]) -> int:
        """Delete keys and count those that were there."""
        if not keys:
            return 0
        return int(await self._guarded(self._connection.call, "UNLINK", *keys))

    async def size(self) -> int:
        """Count all keys, also those of others."""
        return int(await self._guarded(self._connection.call, "DBSIZE"))

    async def ping(self) -> None:
        """Raise unless Redis answers."""
        await self._guarded(self._connection.call, "PING")

    async def close(self) -> None:
        """Drop the connection."""
        await self._connection.close()

    async def _guarded(self, call: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        try:
            return await self._breaker.call_async(call, *arguments)
        except (BreakerOpen, RedisError, OSError) as error:
            raise CacheUnavailableError(str(error) or "Redis did not answer in time") from error

    async def _run(self, script: Script, *arguments: Argument) -> Any:
        try:
            return await self._connection.call("EVALSHA", script.digest, *arguments)
        except NoScriptError:  # it has started anew, or was told to forget
            return await self._connection.call("EVAL", script.text, *arguments)


def key_part(text: str) -> str:
    """Write a name of any length and content so that it ends where it ends: without `:`."""
    whole = text.encode(errors="surrogatepass")
    escaped = quote(whole, safe="")
    if len(escaped) <= KEY_PART_LENGTH_MAX:
        return escaped
    return "=" + sha256(whole).hexdigest()  # escaped names have no `=`


def pattern_of(text: str) -> str:
    """Write a pattern for `scan` that stands for this very text."""
    return "".join(f"\\{one}" if one in "*?[\\" else one for one in text)
