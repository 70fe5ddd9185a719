"""A log of HTTP clients and the topics beside it, written by hand."""

import json
from dataclasses import replace
from uuid import uuid4

from loadtests.auditor.events import Event
from loadtests.auditor.history import History
from loadtests.auditor.requests import Kind, Request
from loadtests.chaos.by_http.asks import Act, Ask
from loadtests.chaos.by_http.log import Answer, HttpLog, Try
from loadtests.chaos.workload import TERM
from shared.identifiers import SectionId, StudentId

STUDENT = StudentId("H1")
CONFIRMED, REJECTED = "EnrollmentConfirmed", "EnrollmentRejected"
CANCELLED, OPENED = "EnrollmentCancelled", "EnrollmentOpened"


def ask_of(
    request: int = 0,
    act: Act = Act.ENROLL,
    *,
    key: str | None = "k",
    sections: str = "AB",
    student: StudentId = STUDENT,
) -> Ask:
    named = tuple(SectionId(one) for one in sections)
    return Ask(0.0, act, request, student, named, key)


def accepted(name: str, **changed: object) -> Answer:
    body = json.dumps({"enrollment_id": name}).encode()
    return replace(Answer(202, "202", body, f"/enrollments/{name}", "1"), **changed)  # type: ignore[arg-type]


def refused(status: int, retry_after: str | None = "1") -> Answer:
    return Answer(status, str(status), b"{}", None, retry_after)


LOST = Answer(None, "ServerDisconnectedError")


class HttpDay:
    """Tries and topics side by side."""

    def __init__(self) -> None:
        self.log = HttpLog(0)
        self.requests: list[Request] = []
        self.events: list[Event] = []

    def try_(self, ask: Ask, *answers: Answer) -> None:
        """Have one more ask answered so, try by try."""
        number = self.log.asks
        self.log.asks += 1
        for attempt, answer in enumerate(answers):
            self.log.tries.append(Try(number, ask, attempt, "url", 1.0, 2.0, answer))

    def keep(self, name: str, kind: Kind = Kind.VALID, student: str = STUDENT) -> None:
        """Have the message in Kafka."""
        offset = len(self.requests)
        self.requests.append(Request(kind, name, student, TERM, (), None, 0, offset))

    def say(self, name: str, *types: str, sections: str = "AB", student: str = STUDENT) -> None:
        """Have the services say something of an enrollment."""
        for event_type in types:
            self.events.append(
                Event(
                    type=event_type,
                    id=str(uuid4()),
                    topic="enrollment.events",
                    partition=0,
                    offset=len(self.events),
                    key=student,
                    traceparents=0,
                    digest=b"",
                    enrollment_id=name,
                    student_id=student,
                    term=TERM,
                    sections=tuple(sections),
                    credits=None,
                    stage=None,
                    was=None,
                    reasons=(),
                    seats=(),
                )
            )

    @property
    def history(self) -> History:
        return History(requests=tuple(self.requests), events=tuple(self.events))
