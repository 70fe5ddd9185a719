"""What routes ask of the view, behind a breaker and within a time: an answer, or a Problem."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar
from uuid import UUID

from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.view import queries
from services.enrollment.ingress.view.model import Totals, ViewedEnrollment, ViewedSection
from services.enrollment.ingress.view.queries import END, Place, SagaFilter
from shared import offsets
from shared.breaker import Breaker, BreakerOpen
from shared.database import Database, Transaction
from shared.identifiers import (
    EnrollmentId,
    PartitionKey,
    SectionId,
    SectionKey,
    StudentId,
    Term,
)
from shared.retry import is_transient_database_error

LOGGER: Final = logging.getLogger(__name__)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)

T = TypeVar("T")
Page = tuple[list[ViewedEnrollment], str | None]


class View:
    """Reads the view; the breaker's time-out is that of each question.

    Its breaker is not that of the consumer, which must try on while clients are turned away; nor
    should its database's pool be, which clients could empty.
    """

    def __init__(self, database: Database, breaker: Breaker) -> None:
        self._database = database
        self._breaker = breaker

    async def find(self, ids: Collection[EnrollmentId]) -> dict[EnrollmentId, ViewedEnrollment]:
        """Find the enrollments of these ids, as far as they are known."""
        return await self._ask(partial(queries.find, ids=ids))

    async def find_changed(
        self, marks: Mapping[EnrollmentId, int]
    ) -> list[tuple[int, ViewedEnrollment]]:
        """Find what has changed since it had these marks."""
        return await self._ask(partial(queries.find_changed, marks=marks))

    async def of_student(self, student_id: StudentId, cursor: str | None, limit: int) -> Page:
        """List a student's enrollments, newest first, and give the cursor of the next page."""
        return await self.sagas(SagaFilter(student_id=student_id), cursor, limit)

    async def sagas(self, wanted: SagaFilter, cursor: str | None, limit: int) -> Page:
        """List sagas, newest first, and give the cursor of the next page."""
        before = END if cursor is None else place_of(cursor)
        found = await self._ask(
            partial(queries.sagas, wanted=wanted, before=before, limit=limit + 1)
        )
        page = found[:limit]
        return page, cursor_of(page[-1]) if len(found) > limit else None

    async def section(self, term: Term, section_id: SectionId) -> ViewedSection | None:
        """Find a section."""
        return await self._ask(partial(queries.section, key=SectionKey(term, section_id)))

    async def sections(
        self, term: Term, after: SectionId | None, limit: int
    ) -> list[ViewedSection]:
        """List the sections of a term by id."""
        return await self._ask(partial(queries.sections, term=term, after=after, limit=limit))

    async def totals(self) -> Totals:
        """Count the enrollments of each status."""
        return await self._ask(queries.totals)

    async def positions(self) -> dict[PartitionKey, int]:
        """Tell how far the view has read each partition."""
        return await self._ask(offsets.read)

    async def _ask(self, question: Callable[[Transaction], Awaitable[T]]) -> T:
        try:
            return await self._breaker.call_async(self._answer, question)
        except BreakerOpen as error:
            raise _unavailable(error.retry_after_seconds) from error
        except Exception as error:
            if not is_transient_database_error(error):
                raise
            LOGGER.warning("the view does not answer: %r", error)
            raise _unavailable(self._breaker.retry_after_seconds) from error

    async def _answer(self, question: Callable[[Transaction], Awaitable[T]]) -> T:
        """One statement needs no BEGIN; a connection that did not answer in time is given up."""
        async with self._database.session() as (connection, driver):
            try:
                return await question(Transaction(connection, driver))
            except asyncio.CancelledError:
                driver.terminate()  # to wait for the end of its statement could take for ever
                raise


def _unavailable(seconds: float) -> Problem:
    return Problem(ProblemType.DATABASE_UNAVAILABLE, retry_after_seconds=seconds)


def cursor_of(last: ViewedEnrollment) -> str:
    """Name the place behind which the next page begins."""
    return f"{(last.requested_at - EPOCH) // MICROSECOND}-{last.enrollment_id.hex}"


def place_of(cursor: str) -> Place:
    """Read a cursor that `cursor_of` wrote; any other is a Problem."""
    microseconds, _, name = cursor.partition("-")
    try:
        return Place(EPOCH + int(microseconds) * MICROSECOND, UUID(hex=name))
    except (ValueError, OverflowError):
        raise Problem(
            ProblemType.VALIDATION_FAILED, "cursor: take it from the page before"
        ) from None
