"""Records what operators ask the ingress to do, before it is done; what cannot be is refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.enrollment.ingress.access import Caller
from services.enrollment.ingress.problems import Problem, ProblemType
from shared import audit_trail
from shared.clock import Clock
from shared.database import Database, Transaction
from shared.retry import is_transient_database_error


class OperatorsTrail:
    """The audit trail in the ingress's own database.

    It goes past the breaker: to reset one that is open is among what is recorded.
    """

    def __init__(self, database: Database, clock: Clock, timeout_seconds: float) -> None:
        self._database = database
        self._clock = clock
        self._timeout_seconds = timeout_seconds

    async def record(self, caller: Caller, action: str, subject: str, detail: str = "") -> None:
        """Record an action, and return when it cannot be lost; raises a Problem otherwise."""
        try:
            async with self._transaction() as transaction:
                await audit_trail.record(
                    transaction,
                    operator=caller.subject,
                    action=action,
                    subject=subject,
                    detail=detail,
                    now=self._clock(),
                )
        except Exception as error:
            if not is_transient_database_error(error):
                raise
            raise Problem(
                ProblemType.DATABASE_UNAVAILABLE,
                "nothing was done: it cannot be recorded in the audit trail right now",
            ) from error

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Transaction]:
        """Begin a transaction of a database that may hang: then its connection is cut.

        To have it cancelled instead, one would have to wait for the database again.
        """
        async with (
            asyncio.timeout(2 * self._timeout_seconds),  # to connect, and for the transaction
            self._database.session() as (connection, driver),
        ):
            limit = asyncio.get_running_loop().call_later(self._timeout_seconds, driver.terminate)
            try:
                async with driver.transaction():
                    yield Transaction(connection, driver)
            finally:
                limit.cancel()
