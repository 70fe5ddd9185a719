"""The judge of the client's log, on histories made by hand."""

from dataclasses import replace
from uuid import UUID, uuid4

from loadtests.auditor.events import Event
from loadtests.auditor.history import History
from loadtests.auditor.requests import Kind, Request
from loadtests.chaos.client_log import Sent
from loadtests.chaos.judging import judge_log
from loadtests.chaos.workload import TERM, Asks, Message
from shared.identifiers import EnrollmentId, EventId, SectionId, StudentId

STUDENT = StudentId("P1")
SECTIONS = (SectionId("A"), SectionId("B"))
CONFIRMED, REJECTED = "EnrollmentConfirmed", "EnrollmentRejected"
CANCELLED, OPENED = "EnrollmentCancelled", "EnrollmentOpened"


class Day:
    """A client's log and the topics, written side by side."""

    def __init__(self) -> None:
        self.log: list[Sent] = []
        self.requests: list[Request] = []
        self.events: list[Event] = []

    def ask(
        self,
        enrollment_id: UUID,
        asks: Asks = Asks.SEATS,
        *,
        acknowledged: bool = True,
        kept: bool = True,
    ) -> None:
        sections = SECTIONS if asks is Asks.SEATS else ()
        message = Message(
            0.0, asks, EventId(uuid4()), EnrollmentId(enrollment_id), STUDENT, sections
        )
        line, offset = Sent(message, 1.0), len(self.log)
        if acknowledged:
            line = replace(line, acknowledged_at=2.0, place=(0, offset))
        self.log.append(line)
        if kept:
            kind = Kind.VALID if asks is Asks.SEATS else Kind.CANCEL
            self.requests.append(
                Request(kind, str(enrollment_id), STUDENT, TERM, sections, None, 0, offset)
            )

    def say(self, enrollment_id: UUID, *types: str, sections: tuple[str, ...] = SECTIONS) -> None:
        for event_type in types:
            self.events.append(
                Event(
                    type=event_type,
                    id=str(uuid4()),
                    topic="enrollment.events",
                    partition=0,
                    offset=len(self.events),
                    key=STUDENT,
                    traceparents=0,
                    digest=b"",
                    enrollment_id=str(enrollment_id),
                    student_id=STUDENT,
                    term=TERM,
                    sections=sections,
                    credits=None,
                    stage=None,
                    was=None,
                    reasons=(),
                    seats=(),
                )
            )

    def judge(self) -> list[str]:
        return judge_log(
            self.log, History(requests=tuple(self.requests), events=tuple(self.events))
        )


def test_a_day_whose_requests_all_have_one_outcome_is_fine() -> None:
    day, ids = Day(), [uuid4() for _ in range(4)]
    for one in ids:
        day.ask(one)
    day.ask(ids[2], Asks.CANCEL)
    day.ask(ids[3], Asks.CANCEL)
    day.say(ids[0], OPENED, CONFIRMED)
    day.say(ids[1], OPENED, REJECTED)
    day.say(ids[2], OPENED, CONFIRMED, CANCELLED)
    day.say(ids[3], OPENED, REJECTED)

    assert day.judge() == []


def test_an_acknowledged_request_without_an_outcome_is_found() -> None:
    day, one = Day(), uuid4()
    day.ask(one)
    day.say(one, OPENED)

    assert day.judge() == [f"enrollment {one}: no outcome, and one outcome is due"]


def test_a_request_that_was_not_acknowledged_may_have_an_outcome_or_none() -> None:
    day, kept, lost = Day(), uuid4(), uuid4()
    day.ask(kept, acknowledged=False)
    day.ask(lost, acknowledged=False, kept=False)
    day.say(kept, OPENED, CONFIRMED)

    assert day.judge() == []


def test_two_outcomes_of_one_request_are_found() -> None:
    for types in ([CONFIRMED, REJECTED], [CONFIRMED, CONFIRMED], [CANCELLED, CONFIRMED]):
        day, one = Day(), uuid4()
        day.ask(one)
        day.say(one, *types)

        found = day.judge()

        assert found == [f"enrollment {one}: {', '.join(types)}, and one outcome is due"]


def test_an_outcome_of_what_nobody_asked_for_is_found() -> None:
    day, one = Day(), uuid4()
    day.ask(one, Asks.CANCEL)
    day.say(one, CONFIRMED, CANCELLED)
    stranger = uuid4()
    day.say(stranger, REJECTED)

    found = day.judge()

    assert [text for text in found if "never asked" in text] == [
        f"enrollment {one}: {CONFIRMED}, and the client never asked for it",
        f"enrollment {stranger}: {REJECTED}, and the client never asked for it",
    ]


def test_an_enrollment_that_ends_confirmed_after_an_acknowledged_cancel_is_found() -> None:
    day, one, unheard = Day(), uuid4(), uuid4()
    for name in (one, unheard):
        day.ask(name)
        day.say(name, OPENED, CONFIRMED)
    day.ask(one, Asks.CANCEL)
    day.ask(unheard, Asks.CANCEL, acknowledged=False, kept=False)

    assert day.judge() == [f"enrollment {one}: its cancel was acknowledged, and it ends confirmed"]


def test_an_outcome_about_other_sections_is_found() -> None:
    day, one = Day(), uuid4()
    day.ask(one)
    day.say(one, OPENED, CONFIRMED, sections=("A",))

    assert day.judge() == [f"enrollment {one}: {CONFIRMED} for P1 chaos/A, which nobody asked for"]


def test_a_message_that_kafka_acknowledged_and_lost_is_found() -> None:
    day, one = Day(), uuid4()
    day.ask(one)
    day.ask(one, kept=False)
    day.say(one, OPENED, CONFIRMED)

    assert day.judge() == [f"enrollment {one}: seats was acknowledged at (0, 1) and is not there"]
