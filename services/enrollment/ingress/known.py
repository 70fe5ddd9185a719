"""Answers who asks for an enrollment: as of now, not of when the view last looked."""

from typing import Final

from services.enrollment.ingress.access import Caller
from services.enrollment.ingress.freshness import Freshness
from services.enrollment.ingress.problems import Problem, ProblemType
from services.enrollment.ingress.resources import EnrollmentPage, EnrollmentResource
from services.enrollment.ingress.view.model import ViewedEnrollment
from services.enrollment.ingress.view.reader import View
from shared.choreography import REQUESTS
from shared.identifiers import EnrollmentId, StudentId

CATCH_UP_SECONDS: Final = 1.0


class Known:
    """The view as clients may see it."""

    def __init__(self, view: View, freshness: Freshness) -> None:
        self._view = view
        self._freshness = freshness

    async def of(self, caller: Caller, enrollment_id: EnrollmentId) -> ViewedEnrollment:
        """Find an enrollment; one that is not the caller's is no more found than an unknown one.

        Both take the same time, too: neither is given up before the view has seen every request
        that was made before this question.
        """
        found = await self._find(caller, enrollment_id)
        if found is not None:
            return found
        if not await self._freshness.has_reached_now([REQUESTS.name], CATCH_UP_SECONDS):
            raise Problem(ProblemType.VIEW_BEHIND)
        found = await self._find(caller, enrollment_id)
        if found is None:
            raise Problem(ProblemType.NOT_FOUND)
        return found

    async def _find(self, caller: Caller, enrollment_id: EnrollmentId) -> ViewedEnrollment | None:
        found = (await self._view.find([enrollment_id])).get(enrollment_id)
        if found is None or not (caller.is_staff or found.student_id == caller.student_id):
            return None
        return found

    async def page(self, student_id: StudentId, cursor: str | None, limit: int) -> EnrollmentPage:
        """List a student's enrollments, newest first."""
        found, following = await self._view.of_student(student_id, cursor, limit)
        return EnrollmentPage(
            enrollments=[EnrollmentResource.of(one) for one in found], next=following
        )

    def age(self) -> str:
        """Tell how old the view is, in seconds, as a header's value."""
        return f"{self._freshness.age_seconds():.3f}"
