"""How many requests a student, and a client program, may send: token buckets, kept in Redis.

A bucket is one number: when it will be full again. Each token taken puts that off by the time
that one takes to drip in, and a bucket that nobody has used for long needs no number at all.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from shared.cache import Cache, Script, key_part
from shared.errors import CacheUnavailableError

BUCKETS_MAX: Final = 100_000
MICROSECONDS: Final = 1_000_000

# A token from each of the buckets, or from none, by Redis's own clock, in microseconds. Should
# that clock be put back, a bucket is at worst empty, not locked for as long.
TAKE: Final = Script("""
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full_at, wait = {}, 0
for i, key in ipairs(KEYS) do
  local drip, whole = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local was = tonumber(redis.call('GET', key) or now)
  full_at[i] = math.min(math.max(was, now), now + whole) + drip
  wait = math.max(wait, full_at[i] - now - whole)
end
if wait > 0 then return math.ceil(wait) end
for i, key in ipairs(KEYS) do
  local ends = math.ceil((full_at[i] - now) / 1000)
  redis.call('SET', key, string.format('%.0f', math.floor(full_at[i])), 'PX', ends)
end
return 0
""")


@dataclass(frozen=True, slots=True)
class Bucket:
    """So many tokens a second drip in, up to so many."""

    per_second: float
    burst: int

    @property
    def drip_seconds(self) -> float:
        """Tell how long one token takes to drip in."""
        return 1 / self.per_second

    @property
    def whole_seconds(self) -> float:
        """Tell how long an empty bucket takes to fill."""
        return self.burst / self.per_second


class Quotas:
    """Asks Redis, where all processes ask; while it is away each process counts for itself."""

    def __init__(
        self,
        cache: Cache,
        *,
        student: Bucket,
        client: Bucket,
        prefix: str = "quota-",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cache = cache
        self._student = student
        self._client = client
        self._prefix = prefix
        self._own_count = OwnCount(monotonic)

    async def take(self, student: str | None, client: str) -> float:
        """Take a token for a request; 0, or the seconds after which to ask again."""
        wanted = [(f"{self._prefix}client:{key_part(client)}", self._client)]
        if student is not None:
            wanted.append((f"{self._prefix}student:{key_part(student)}", self._student))
        try:
            return await self._take_in_redis(wanted)
        except CacheUnavailableError:
            return self._own_count.take(wanted)

    async def _take_in_redis(self, wanted: Sequence[tuple[str, Bucket]]) -> float:
        seconds = [(bucket.drip_seconds, bucket.whole_seconds) for _, bucket in wanted]
        arguments = [one * MICROSECONDS for pair in seconds for one in pair]
        wait = await self._cache.run_script(TAKE, [key for key, _ in wanted], arguments)
        return int(wait) / MICROSECONDS


class OwnCount:
    """The same buckets in this process; of too many, those not used for longest are forgotten."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._full_at: dict[str, float] = {}

    def __len__(self) -> int:
        """Count the buckets."""
        return len(self._full_at)

    def take(self, wanted: Sequence[tuple[str, Bucket]]) -> float:
        """Take a token from each of the buckets, or from none: then tell how long to wait."""
        now = self._monotonic()
        full_at = {
            key: max(self._full_at.get(key, now), now) + bucket.drip_seconds
            for key, bucket in wanted
        }
        wait = max(full_at[key] - now - bucket.whole_seconds for key, bucket in wanted)
        if wait > 1 / MICROSECONDS:
            return wait
        for key, at in full_at.items():
            self._full_at.pop(key, None)
            self._full_at[key] = at
        while len(self._full_at) > BUCKETS_MAX:
            del self._full_at[next(iter(self._full_at))]
        return 0.0
