"""The span of a request for an enrollment: the edge of its trace, from the client to the answer."""

from types import TracebackType
from typing import Final, Self

from opentelemetry.trace import SpanKind

from services.enrollment.ingress.problems import Problem
from shared import span_attributes, trace_context
from shared.events import EnrollmentCancellationRequested, EnrollmentEvent
from shared.span_attributes import ABOUT_ID, ENROLLMENT_ID
from shared.tracing import Span, Tracing, now_ns

FAILED: Final = 500


class RequestSpan:
    """Begins with the request, and is recorded at its end where its trace is sampled.

    A request that publishes nothing, such as a repeat whose answer is remembered, has none.
    """

    def __init__(
        self, tracing: Tracing, route: str, came_with: str | None, *, is_wanted: bool
    ) -> None:
        self._tracing = tracing
        self._route = route  # with its method
        self._came_with = came_with
        self._is_wanted = is_wanted
        self._began_ns = now_ns()
        self._event: EnrollmentEvent | None = None
        self._context = ""
        self._parent: str | None = None
        self.status = 0

    def another(self) -> "RequestSpan":
        """Give a span for another enrollment of the same request."""
        return RequestSpan(self._tracing, self._route, self._came_with, is_wanted=self._is_wanted)

    def context_of(self, event: EnrollmentEvent) -> str:
        """Give the context with which the event of this request goes out."""
        context = self._tracing.continue_or_begin(self._came_with, event.enrollment_id)
        is_continued = context is self._came_with
        if self._is_wanted:
            context = trace_context.as_sampled(context)
        if not self._tracing.is_recorded(context):
            return context
        self._event = event
        self._parent = context if is_continued else None
        self._context = trace_context.child_of(context) if is_continued else context
        return self._context

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Record it; what is wrong with a request is no failure of ours."""
        if self._event is None:
            return
        if isinstance(error, Exception):  # who has gone, or was cut off at the end, is no failure
            self.status = error.kind.status if isinstance(error, Problem) else FAILED
        method, _, path = self._route.partition(" ")
        is_cancel = isinstance(self._event, EnrollmentCancellationRequested)
        self._tracing.record(
            Span(
                name=self._route,
                kind=SpanKind.SERVER,
                context=self._context,
                parent=self._parent,
                began_ns=self._began_ns,
                ended_ns=now_ns(),
                attributes={
                    "http.request.method": method,
                    "http.route": path,
                    "http.response.status_code": self.status,
                    **span_attributes.of_event(
                        self._event, ABOUT_ID if is_cancel else ENROLLMENT_ID
                    ),
                },
                failure=None if self.status < FAILED else f"status {self.status}",
            )
        )
