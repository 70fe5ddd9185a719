"""Records what operators ask the ingress to do, before it is done; what cannot be is refused."""

import asyncio

from services.enrollment.ingress.access import Caller
from services.enrollment.ingress.problems import Problem, ProblemType
from shared import audit_trail
from shared.clock import Clock
from shared.database import Database
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
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._database.transaction() as transaction,
            ):
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
