"""Looks at a database every so often, briefly, and shows what was seen as gauges."""

import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Generic, TypeVar

import asyncpg

from shared.database import Database, Transaction
from shared.metric_table import DATABASE_OLDEST_SNAPSHOT, DATABASE_OLDEST_TRANSACTION
from shared.metric_types import Gauge
from shared.metrics import Metrics, Values, one_value

LOGGER: Final = logging.getLogger(__name__)
STATEMENT_SECONDS: Final = 2.0
MISSED_MAX: Final = 4  # looks, before what was seen counts as not known

T = TypeVar("T")


class Known(Generic[T]):
    """Something that is read every so often, and is not known where that was long ago."""

    def __init__(
        self, lately_seconds: float, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._lately_seconds = lately_seconds
        self._monotonic = monotonic
        self._value: T | None = None
        self._at_seconds = -math.inf

    def learn(self, value: T) -> None:
        """Take what was read just now."""
        self._value, self._at_seconds = value, self._monotonic()

    def lately(self) -> T | None:
        """Give it, or None."""
        is_new = self._monotonic() < self._at_seconds + self._lately_seconds
        return self._value if is_new else None


@dataclass(frozen=True, slots=True)
class Look:
    """A question to the service's database; its answers are those of the gauges, in their order."""

    name: str
    interval_seconds: float
    gauges: Sequence[Gauge]
    ask: Callable[[Transaction, datetime], Awaitable[Sequence[float]]]


class Looking:
    """Asks one question, and shows the answers while they are new."""

    def __init__(self, look: Look, metrics: Metrics) -> None:
        self._look = look
        self.name = look.name
        self.interval_seconds = look.interval_seconds
        self._seen = Known[Sequence[float]](MISSED_MAX * look.interval_seconds)
        for place, gauge in enumerate(look.gauges):
            metrics.gauge(gauge, partial(self._show, place))

    def _show(self, place: int) -> Values:
        seen = self._seen.lately()
        return [] if seen is None else one_value(seen[place])

    async def look(self, database: Database, now: datetime) -> None:
        """Ask; a question that takes long is given up, for others have work to do there."""
        try:
            async with database.transaction() as transaction:
                limit_ms = round(STATEMENT_SECONDS * 1000)
                await transaction.execute(f"SET LOCAL statement_timeout = {limit_ms}")
                self._seen.learn(await self._look.ask(transaction, now))
        except asyncpg.QueryCanceledError as error:
            LOGGER.warning("the look at %s took too long: %s", self._look.name, error)


async def oldest_transaction(transaction: Transaction, _now: datetime) -> Sequence[float]:
    """Tell how old the oldest transaction and the oldest snapshot in this database are."""
    rows = await transaction.fetch(
        """
        SELECT coalesce(extract(epoch FROM max(since)), 0)::float8 AS open,
               coalesce(extract(epoch FROM max(since) FILTER (WHERE keeps)), 0)::float8 AS keeping
        FROM (SELECT clock_timestamp() - xact_start AS since, backend_xmin IS NOT NULL AS keeps
              FROM pg_stat_activity
              WHERE datname = current_database() AND pid <> pg_backend_pid()
                  AND xact_start IS NOT NULL AND backend_type = 'client backend'
              LIMIT 1000) AS others
        """
    )
    return rows[0]["open"], rows[0]["keeping"]


LOOK_AT_TRANSACTIONS: Final = Look(
    "transactions",
    5.0,
    (DATABASE_OLDEST_TRANSACTION, DATABASE_OLDEST_SNAPSHOT),
    oldest_transaction,
)
