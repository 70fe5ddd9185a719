"""Delays grow and jitter, retries are bounded, and database errors are told apart."""

import asyncio
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import exc, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from shared.errors import RivalRowError
from shared.retry import Backoff, is_database_outage, is_transient_database_error, retry

BACKOFF = Backoff(initial_seconds=0.1, maximum_seconds=2)

CONFLICTS = [
    asyncpg.SerializationError("could not serialize access"),
    asyncpg.DeadlockDetectedError("deadlock detected"),
    asyncpg.LockNotAvailableError("canceling statement due to lock timeout"),
]
OUTAGES = [
    asyncpg.PostgresConnectionError("connection exception"),
    asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    asyncpg.ConnectionFailureError("connection failure"),
    asyncpg.AdminShutdownError("terminating connection due to administrator command"),
    asyncpg.CrashShutdownError("terminating connection because of crash"),
    asyncpg.CannotConnectNowError("the database system is starting up"),
    asyncpg.TooManyConnectionsError("sorry, too many clients already"),
    asyncpg.InterfaceError("cannot perform operation: connection is closed"),
]
LOCAL_OUTAGES = [
    ConnectionRefusedError(111, "refused"),
    ConnectionResetError(104, "reset"),
    OSError(113, "no route to host"),
    TimeoutError(),  # what asyncio raises too
    exc.TimeoutError("QueuePool limit reached"),
]
DETERMINISTIC = [
    asyncpg.UniqueViolationError("duplicate key"),
    asyncpg.CheckViolationError("violates check constraint"),
    asyncpg.ForeignKeyViolationError("violates foreign key constraint"),
    asyncpg.NotNullViolationError("null value"),
    asyncpg.exceptions.DataError("22000"),
    asyncpg.NumericValueOutOfRangeError("out of range"),
    asyncpg.PostgresSyntaxError("syntax error"),
    asyncpg.UndefinedTableError("relation does not exist"),
    asyncpg.InvalidPasswordError("password authentication failed"),
    asyncpg.DiskFullError("no space left on device"),
    asyncpg.InterfaceError("another operation is in progress"),
]
OURS = [ValueError("ours"), KeyError("ours"), asyncio.CancelledError()]


def wrapped(error: Exception) -> exc.DBAPIError:
    """The error as SQLAlchemy's asyncpg dialect raises it: adapted, then wrapped."""
    driver: Any = make_url("postgresql+asyncpg://").get_dialect().import_dbapi()
    kind = next(
        driver._asyncpg_error_translate[base]
        for base in type(error).__mro__
        if base in driver._asyncpg_error_translate
    )
    adapted = kind(str(error), error)
    adapted.__cause__ = error
    outer = exc.DBAPIError.instance("SELECT 1", None, adapted, driver.Error)
    assert isinstance(outer, exc.DBAPIError)
    return outer


def bare_and_wrapped(errors: list[Exception]) -> list[BaseException]:
    return [*errors, *map(wrapped, errors)]


class Flaky:
    """Fails with each of the errors in turn, then succeeds."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


class Sleep:
    def __init__(self) -> None:
        self.delays: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.delays.append(seconds)


async def attempt(func: Flaky, sleep: Sleep, attempts: int = 4) -> str:
    return await retry(
        func,
        attempts=attempts,
        backoff=BACKOFF,
        is_transient=is_transient_database_error,
        sleep=sleep,
        random=lambda: 0.5,
    )


def test_the_ceiling_doubles_up_to_the_maximum() -> None:
    ceilings = [BACKOFF.delay_seconds(attempt, 1) for attempt in range(1, 8)]
    assert ceilings == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2, 2])


@given(st.integers(1, 100_000), st.floats(0, 1, exclude_max=True))
def test_a_delay_lies_between_nothing_and_the_maximum(attempt: int, random: float) -> None:
    assert 0 <= BACKOFF.delay_seconds(attempt, random) <= BACKOFF.maximum_seconds


def test_jitter_is_full() -> None:
    assert BACKOFF.delay_seconds(3, 0) == 0
    assert BACKOFF.delay_seconds(3, 0.25) == pytest.approx(0.1)


@pytest.mark.parametrize("numbers", [(-1, 2, 2), (3, 2, 2), (1, 2, 0.5)])
def test_a_backoff_out_of_bounds_is_refused(numbers: tuple[float, float, float]) -> None:
    with pytest.raises(AssertionError):
        Backoff(*numbers)


async def test_a_transient_error_is_retried_with_growing_jittered_delays() -> None:
    func, sleep = Flaky(CONFLICTS[0], CONFLICTS[1]), Sleep()
    assert await attempt(func, sleep) == "done"
    assert sleep.delays == pytest.approx([0.05, 0.1])


async def test_the_last_error_is_raised_when_attempts_are_used_up() -> None:
    last = asyncpg.SerializationError("the last")
    func, sleep = Flaky(CONFLICTS[0], CONFLICTS[0], last), Sleep()
    with pytest.raises(asyncpg.SerializationError) as caught:
        await attempt(func, sleep, attempts=3)
    assert caught.value is last
    assert (func.calls, len(sleep.delays)) == (3, 2)


async def test_a_deterministic_error_is_raised_at_once() -> None:
    func, sleep = Flaky(DETERMINISTIC[0]), Sleep()
    with pytest.raises(asyncpg.UniqueViolationError):
        await attempt(func, sleep)
    assert (func.calls, sleep.delays) == (1, [])


async def test_one_attempt_means_no_retry() -> None:
    func, sleep = Flaky(CONFLICTS[0]), Sleep()
    with pytest.raises(asyncpg.SerializationError):
        await attempt(func, sleep, attempts=1)
    assert (func.calls, sleep.delays) == (1, [])


async def test_cancellation_is_never_retried() -> None:
    func, sleep = Flaky(asyncio.CancelledError()), Sleep()
    with pytest.raises(asyncio.CancelledError):
        await attempt(func, sleep)
    assert func.calls == 1


@pytest.mark.parametrize(
    "error", [*bare_and_wrapped([*CONFLICTS]), RivalRowError("decide again")], ids=repr
)
def test_a_conflict_is_transient_and_no_outage(error: BaseException) -> None:
    assert is_transient_database_error(error)
    assert not is_database_outage(error)


@pytest.mark.parametrize("error", [*bare_and_wrapped([*OUTAGES]), *LOCAL_OUTAGES], ids=repr)
def test_an_outage_is_transient_too(error: BaseException) -> None:
    assert is_transient_database_error(error)
    assert is_database_outage(error)


@pytest.mark.parametrize("error", [*bare_and_wrapped([*DETERMINISTIC]), *OURS], ids=repr)
def test_a_deterministic_error_is_neither(error: BaseException) -> None:
    assert not is_transient_database_error(error)
    assert not is_database_outage(error)


def test_a_connection_that_sqlalchemy_invalidated_is_an_outage() -> None:
    error = exc.DBAPIError("SELECT 1", None, Exception("gone"), connection_invalidated=True)
    assert is_database_outage(error)


def test_a_cause_is_looked_through() -> None:
    error = RuntimeError("our own wrapper")
    error.__cause__ = wrapped(CONFLICTS[1])
    assert is_transient_database_error(error)


def test_errors_that_cause_one_another_do_not_loop() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert not is_transient_database_error(first)


async def test_a_refused_connection_is_an_outage_as_sqlalchemy_really_raises_it() -> None:
    engine = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/nowhere")
    with pytest.raises((OSError, exc.DBAPIError)) as caught:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    await engine.dispose()
    assert is_database_outage(caught.value)
