"""The requests of a day as finished messages, so that nothing is serialised while time is taken."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from loadtests.day.dataset import Dataset
from loadtests.day.kafka import SOURCE
from loadtests.day.request_file import Request
from shared.codec import encode_headers
from shared.events import EnrollmentRequested
from shared.identifiers import EnrollmentId, EventId, Term

NAMESPACE: Final = UUID("3f0e6b1c-6d0c-4f0e-9a52-5d2f6c1a7b90")
HeaderList = list[tuple[str, str | bytes | None]]


class Name(NamedTuple):
    """What tells a request from every other one that was ever played."""

    dataset: str
    line: int
    copy: int
    run: str


class Outgoing(NamedTuple):
    """One message for the topic of requests, with the values of the headers that are its own."""

    key: bytes
    body: bytes
    event_id: bytes
    enrollment_id: bytes


class Batch(NamedTuple):
    """All the messages of a run, and the headers that they share."""

    messages: Sequence[Outgoing]
    shared_headers: HeaderList

    def headers_of(self, message: Outgoing) -> HeaderList:
        """Give all headers of a message."""
        return [
            *self.shared_headers,
            ("ce_id", message.event_id),
            ("ce_subject", message.enrollment_id),
        ]


def enrollment_id(dataset: str, line: int, copy: int, run: str) -> EnrollmentId:
    """Name an enrollment; the same run asks again under the same names."""
    return EnrollmentId(uuid5(NAMESPACE, f"enrollment\n{dataset}\n{line}\n{copy}\n{run}"))


def event_id(dataset: str, line: int, copy: int, run: str) -> EventId:
    """Name the event that asks."""
    return EventId(uuid5(NAMESPACE, f"event\n{dataset}\n{line}\n{copy}\n{run}"))


def in_order(copies: Sequence[Dataset], run: str) -> Iterator[tuple[Name, Term, Request]]:
    """Give the requests of every copy: first all first ones, then all second ones, and so on.

    So that the copies are busy at the same time, as one larger university would be.
    """
    for requests in zip(*(dataset.requests for dataset in copies), strict=True):
        for copy, (dataset, request) in enumerate(zip(copies, requests, strict=True), start=1):
            yield Name(dataset.name, request.line, copy, run), dataset.term, request


def prepare(copies: Sequence[Dataset], run: str, occurred_at: datetime) -> Batch:
    """Write the messages of every copy, in their order."""
    messages = [
        _message(term, request, enrollment_id(*name), event_id(*name))
        for name, term, request in in_order(copies, run)
    ]
    return Batch(messages, _shared_headers(occurred_at))


def _message(term: str, request: Request, enrollment: EnrollmentId, event: EventId) -> Outgoing:
    body = {
        "enrollment_id": str(enrollment),
        "student_id": request.student_id,
        "term": term,
        "sections": request.sections,
    }
    return Outgoing(
        key=request.student_id.encode(),
        body=json.dumps(body, separators=(",", ":")).encode(),
        event_id=str(event).encode(),
        enrollment_id=str(enrollment).encode(),
    )


def _shared_headers(occurred_at: datetime) -> HeaderList:
    headers = encode_headers(
        event_id=EventId(UUID(int=0)),
        event_type=EnrollmentRequested.__name__,
        source=SOURCE,
        subject="",
        occurred_at=occurred_at,
        traceparent=None,
    )
    return [(name, value) for name, value in headers if name not in ("ce_id", "ce_subject")]
