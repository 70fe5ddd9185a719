"""Retries with exponential back-off and full jitter, and which database errors deserve one."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shared.errors import RivalRowError

T = TypeVar("T")

MAX_WRAPPERS = 10

# A rival transaction was in the way and has ended or soon will, so the same transaction can
# succeed if run again. After a deadlock (40P01) that holds at once: only the loser is told.
CONFLICT_SQLSTATES = frozenset({"40001", "40P01", "55P03"})
# The server is stopping (57P01, 57P02), starting (57P03) or has no connection to spare (53300).
OUTAGE_SQLSTATES = frozenset({"57P01", "57P02", "57P03", "53300"})
CONNECTION_SQLSTATE_CLASS = "08"


@dataclass(frozen=True, slots=True)
class Backoff:
    initial_seconds: float
    maximum_seconds: float
    factor: float = 2.0

    def __post_init__(self) -> None:
        assert 0 <= self.initial_seconds <= self.maximum_seconds
        assert self.factor >= 1

    def delay_seconds(self, attempt: int, random: float) -> float:
        """How long to wait after failed attempt 1, 2, 3..., with `random` in [0, 1).

        Full jitter: anything from nothing to the ceiling, so that rivals spread out.
        """
        assert attempt >= 1
        assert 0 <= random <= 1
        return random * self._ceiling_seconds(attempt)

    def _ceiling_seconds(self, attempt: int) -> float:
        try:
            return min(self.maximum_seconds, self.initial_seconds * self.factor ** (attempt - 1))
        except OverflowError:  # a loop that retries for ever gets here
            return self.maximum_seconds


async def retry(
    func: Callable[[], Awaitable[T]],
    *,
    attempts: int,
    backoff: Backoff,
    is_transient: Callable[[BaseException], bool],
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    random: Callable[[], float] = random.random,
) -> T:
    """Call `func` at most `attempts` times; the last error, or a deterministic one, is raised."""
    assert attempts >= 1
    for attempt in range(1, attempts):
        try:
            return await func()
        except Exception as error:
            if not is_transient(error):
                raise
        await sleep(backoff.delay_seconds(attempt, random()))
    return await func()


def is_transient_database_error(error: BaseException) -> bool:
    """Whether the same transaction may succeed later: not for constraint, data or syntax errors."""
    return any(_is_conflict(link) or _is_outage(link) for link in _unwrapped(error))


def is_database_outage(error: BaseException) -> bool:
    """Whether the database could not be reached; conflicts don't count, for then it answered."""
    return any(_is_outage(link) for link in _unwrapped(error))


def _unwrapped(error: BaseException) -> Iterator[BaseException]:
    """The error and those it wraps: SQLAlchemy hides asyncpg's error two wrappers deep."""
    link: BaseException | None = error
    for _ in range(MAX_WRAPPERS):
        if link is None:
            return
        yield link
        original = link.orig if isinstance(link, StatementError) else None
        link = original or link.__cause__


def _is_conflict(error: BaseException) -> bool:
    if isinstance(error, asyncpg.PostgresError):
        return error.sqlstate in CONFLICT_SQLSTATES
    return isinstance(error, RivalRowError)


def _is_outage(error: BaseException) -> bool:
    if isinstance(error, asyncpg.PostgresError):
        sqlstate = error.sqlstate or ""
        return sqlstate in OUTAGE_SQLSTATES or sqlstate.startswith(CONNECTION_SQLSTATE_CLASS)
    if isinstance(error, asyncpg.InterfaceError):  # its other messages tell of our own mistakes
        return "connection is closed" in str(error)
    if isinstance(error, asyncpg.InternalClientError):  # the server has said goodbye just now
        return "cannot switch to state" in str(error)
    if isinstance(error, DBAPIError):
        return error.connection_invalidated
    # OSError covers ConnectionError and TimeoutError, which is asyncio's too
    return isinstance(error, OSError | PoolTimeoutError)
