"""The spans of a batch: each event's own, what it caused, and what failed."""

from collections.abc import Sequence
from uuid import uuid4

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from shared.batch_spans import BatchSpans
from shared.events import (
    EnrollmentCancellationRequested,
    EnrollmentConfirmed,
    EnrollmentEvent,
    EnrollmentOpened,
    EnrollmentRequested,
)
from shared.identifiers import EnrollmentId, EventId, SectionId, StudentId, Term
from shared.message import Arrival, Emitted, Message
from shared.reaction import Folded, Parked
from shared.tests.machinery import NOW
from shared.trace_context import as_sampled, begin, is_sampled
from shared.tracing import Tracing

ENROLLMENT = EnrollmentId(uuid4())
ABOUT = {"enrollment_id": ENROLLMENT, "student_id": StudentId("S1")}
WANTED = {**ABOUT, "term": Term("T"), "sections": (SectionId("A"),)}
REQUESTED = EnrollmentRequested.model_validate(WANTED)
OPENED = EnrollmentOpened.model_validate({**WANTED, "deadline_at": NOW})
CONFIRMED = EnrollmentConfirmed.model_validate(WANTED)
CANCEL = EnrollmentCancellationRequested.model_validate({**ABOUT, "reason": "a private matter"})


class Batch:
    """A batch that is traced, and the spans that were told of it."""

    def __init__(self) -> None:
        self._told = InMemorySpanExporter()
        self._tracing = Tracing("enrollment", "1", sample_ratio=0.0, exporter=self._told)
        self._spans = BatchSpans(self._tracing, "enrollment")
        self._offset = 0

    def arrive(self, event: EnrollmentEvent, traceparent: str | None) -> Arrival:
        """Let an event arrive."""
        self._offset += 1
        message = Message("enrollment.requests", 0, self._offset, b"S1", b"{}", ())
        return self._spans.arrived(Arrival(message, EventId(uuid4()), event, traceparent))

    def commit(
        self, *caused: tuple[Arrival, Sequence[EnrollmentEvent]], parked: Sequence[Parked] = ()
    ) -> list[ReadableSpan]:
        """Commit it, and give the spans."""
        said: list[tuple[Message, Sequence[Emitted]]] = [
            (arrival.message, [Emitted(event, arrival.traceparent) for event in events])
            for arrival, events in caused
        ]
        emitted = [one for _, events in said for one in events]
        self._spans.committed(Folded(emitted=emitted, caused=said, parked=list(parked)))
        self._tracing.close()
        return list(self._told.get_finished_spans())


def sampled() -> str:
    return as_sampled(begin(EnrollmentId(uuid4()), 0.0))


def found(spans: Sequence[ReadableSpan], name: str) -> list[ReadableSpan]:
    return [span for span in spans if span.name == name]


def test_what_an_event_caused_is_told_of_it_and_of_no_other_of_the_same_enrollment() -> None:
    batch = Batch()
    request, repeat = batch.arrive(REQUESTED, sampled()), batch.arrive(REQUESTED, sampled())

    first, second, _ = batch.commit((request, [OPENED, CONFIRMED]), (repeat, []))

    assert first.attributes is not None
    assert second.attributes is not None
    assert first.attributes["enrollment.emitted"] == ["EnrollmentOpened", "EnrollmentConfirmed"]
    assert first.attributes["enrollment.outcome"] == "confirmed"
    assert first.attributes["enrollment.id"] == str(ENROLLMENT)
    assert second.attributes["enrollment.emitted"] == []
    assert "enrollment.id" not in second.attributes  # a search must find one trace
    assert second.attributes["enrollment.about_id"] == str(ENROLLMENT)


def test_an_event_that_becomes_a_dead_letter_is_an_error() -> None:
    batch = Batch()
    request = batch.arrive(REQUESTED, sampled())

    (span,) = found(
        batch.commit(parked=[Parked(request.message, "decision_raised", "KeyError at x:1")]),
        "process enrollment.requests",
    )

    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "dead letter: decision_raised"
    assert span.attributes is not None
    assert span.attributes["enrollment.id"] == str(ENROLLMENT)


def test_what_people_write_is_in_no_span() -> None:
    batch = Batch()
    cancel = batch.arrive(CANCEL, sampled())

    spans = batch.commit((cancel, []))

    assert "private" not in "".join(span.to_json() for span in spans)


def test_a_batch_with_nothing_sampled_tells_nothing_and_passes_contexts_on() -> None:
    batch = Batch()
    context = begin(ENROLLMENT, 0.0)

    request = batch.arrive(REQUESTED, context)

    assert request.traceparent is context
    assert batch.commit((request, [OPENED])) == []


def test_an_event_without_a_context_gets_that_of_its_enrollment() -> None:
    request = Batch().arrive(REQUESTED, None)

    assert request.traceparent is not None
    assert request.traceparent.split("-")[1] == ENROLLMENT.hex
    assert not is_sampled(request.traceparent)


def test_the_span_of_the_batch_is_linked_to_the_sampled_ones_and_is_of_its_own() -> None:
    batch = Batch()
    request = batch.arrive(REQUESTED, sampled())
    batch.arrive(REQUESTED, begin(ENROLLMENT, 0.0))

    (whole,) = found(batch.commit((request, [OPENED])), "process batch")

    assert request.traceparent is not None
    assert [f"{link.context.trace_id:032x}" for link in whole.links] == [
        request.traceparent.split("-")[1]
    ]
    assert whole.parent is None
    assert whole.attributes is not None
    assert whole.attributes["messaging.batch.message_count"] == 2
    assert "enrollment.id" not in whole.attributes
