"""What moves the metrics of a process: each number moves when it should, and by how much."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from shared.breaker import BreakerState
from shared.choreography import REQUESTS
from shared.codec import encode_body, encode_headers
from shared.database import Database
from shared.event_loop import measure_delay
from shared.events import (
    EnrollmentCancelled,
    EnrollmentConfirmed,
    EnrollmentEvent,
    EnrollmentRejected,
    EnrollmentRequested,
    ReasonCode,
    Stage,
)
from shared.identifiers import EnrollmentId, SectionId, StudentId, Term, new_event_id
from shared.instruments import Instruments
from shared.message import Emitted, Message
from shared.outbox import OutboxRow
from shared.reaction import Folded, Parked
from shared.reasons import reason
from shared.tests.machinery import (
    NOW,
    REACTIONS,
    REFUSED_CREDITS,
    batch_of,
    load,
    make_tally,
    message_of,
    rows_of,
    save,
    validated,
)
from shared.tests.test_metrics import labels, shown
from shared.tests.test_worker import new_breaker, once, opening
from shared.worker import Handled, Worker

SOON = NOW + timedelta(seconds=1)  # exactly the objective
LATER = NOW + timedelta(seconds=2)
IDS: dict[str, Any] = {
    "student_id": StudentId("S1"),
    "term": Term("T"),
    "sections": (SectionId("A"),),
}


class Measured:
    """A process's instruments, by a clock that the test sets."""

    def __init__(self, service: str = "enrollment") -> None:
        self.now = LATER
        self.instruments = Instruments(service, "1", lambda: self.now)

    def value(self, name: str, **series: str) -> float:
        return shown(self.instruments.metrics).get((name, labels(**series)), 0.0)

    def committed(self, *emitted: Emitted, **folded: Any) -> None:
        done = Folded(emitted=list(emitted), **folded)
        self.instruments.batch_handled(Handled(max(1, len(emitted)), done, 0.02))


@pytest.fixture
def measured() -> Measured:
    return Measured()


def confirmed() -> EnrollmentConfirmed:
    return EnrollmentConfirmed(enrollment_id=EnrollmentId(uuid4()), **IDS)


def rejected(*codes: ReasonCode) -> EnrollmentRejected:
    reasons = tuple(reason(code, problem="p") for code in codes)
    return EnrollmentRejected(
        enrollment_id=EnrollmentId(uuid4()), stage=Stage.CAPACITY, reasons=reasons, **IDS
    )


def cancelled(was: Any) -> EnrollmentCancelled:
    return EnrollmentCancelled(enrollment_id=EnrollmentId(uuid4()), was=was, **IDS)


def test_an_outcome_is_counted_with_its_first_reason_and_timed_from_its_request(
    measured: Measured,
) -> None:
    measured.committed(
        Emitted(confirmed(), None, SOON),
        Emitted(confirmed(), None, SOON),
        Emitted(rejected(ReasonCode.DEADLINE, ReasonCode.BAD_REQUEST), None, NOW),
        Emitted(cancelled("pending"), None, NOW),
    )

    outcomes = "enrollment_outcomes_total"
    assert measured.value(outcomes, outcome="confirmed", reason="none") == 2
    assert measured.value(outcomes, outcome="rejected", reason="deadline") == 1
    assert measured.value(outcomes, outcome="rejected", reason="bad_request") == 0
    assert measured.value(outcomes, outcome="cancelled", reason="while_pending") == 1
    took = "enrollment_duration_seconds"
    assert measured.value(f"{took}_sum", outcome="confirmed") == 2.0
    assert measured.value(f"{took}_bucket", outcome="confirmed", le="1.0") == 2
    assert measured.value(f"{took}_bucket", outcome="confirmed", le="0.75") == 0
    assert measured.value(f"{took}_sum", outcome="rejected") == 2.0
    assert measured.value(f"{took}_bucket", outcome="rejected", le="1.0") == 0


def test_a_cancel_of_what_was_confirmed_is_an_outcome_and_takes_no_time(
    measured: Measured,
) -> None:
    measured.committed(Emitted(cancelled("confirmed"), None, NOW))

    series = {"outcome": "cancelled", "reason": "while_confirmed"}
    assert measured.value("enrollment_outcomes_total", **series) == 1
    assert measured.value("enrollment_duration_seconds_count", outcome="cancelled") == 0


def test_an_outcome_whose_request_time_nobody_knows_is_counted_all_the_same(
    measured: Measured,
) -> None:
    measured.committed(Emitted(confirmed(), None))

    series = {"outcome": "confirmed", "reason": "none"}
    assert measured.value("enrollment_outcomes_total", **series) == 1
    assert measured.value("enrollment_duration_seconds_count", outcome="confirmed") == 0


def test_a_clock_that_is_behind_that_of_the_broker_gives_no_negative_time(
    measured: Measured,
) -> None:
    measured.committed(Emitted(confirmed(), None, LATER + timedelta(seconds=5)))

    assert measured.value("enrollment_duration_seconds_sum", outcome="confirmed") == 0
    assert measured.value("enrollment_duration_seconds_count", outcome="confirmed") == 1


def test_an_answer_is_timed_from_the_event_and_what_nobody_answered_is_not() -> None:
    measured = Measured("capacity")
    events = [validated() for _ in range(3)]
    messages = [message_of(event, number) for number, event in enumerate(events)]
    answers = [Emitted(event, None) for event in events[:2]]

    measured.committed(
        *answers,
        caused=[(messages[0], answers[:1]), (messages[1], answers[1:]), (messages[2], [])],
    )

    took = "step_duration_seconds"
    assert measured.value(f"{took}_count", event="StudentValidated") == 2
    assert measured.value(f"{took}_sum", event="StudentValidated") == 4.0


def test_a_request_from_outside_is_timed_from_when_the_broker_took_it(measured: Measured) -> None:
    event = EnrollmentRequested(enrollment_id=EnrollmentId(uuid4()), **IDS)
    headers = encode_headers(
        event_id=new_event_id(),
        event_type="EnrollmentRequested",
        source="/upstream",
        subject=str(event.enrollment_id),
        occurred_at=datetime(1970, 1, 1, tzinfo=UTC),  # whatever it says
        traceparent=None,
    )
    raw = tuple((name, value if isinstance(value, bytes) else b"") for name, value in headers)
    logged_ms = round(SOON.timestamp() * 1000)
    message = Message(REQUESTS.name, 0, 0, b"S1", encode_body(event), raw, logged_ms)
    answer = Emitted(confirmed(), None, SOON)

    measured.committed(answer, caused=[(message, [answer])])

    assert measured.value("step_duration_seconds_sum", event="EnrollmentRequested") == 1.0


def test_a_batch_counts_its_messages_its_events_its_repeats_and_what_it_parked(
    measured: Measured,
) -> None:
    message = message_of(validated(), 0)
    parked = [
        Parked(message, "decision_raised", "ValueError"),
        Parked(message, "not_json", ""),
        Parked(message, "not_json", ""),
        Parked(message, "of a newer version", ""),
    ]
    folded = Folded(emitted=[Emitted(confirmed(), None)], parked=parked, duplicates=3)

    measured.instruments.batch_handled(Handled(7, folded, 0.02))

    assert measured.value("messages_read_total") == 7
    assert measured.value("events_emitted_total") == 1
    assert measured.value("inbox_duplicates_total") == 3
    assert measured.value("batch_size_sum") == 7
    assert measured.value("batch_duration_seconds_bucket", le="0.01") == 0
    assert measured.value("batch_duration_seconds_bucket", le="0.025") == 1
    counts = {
        reason: measured.value("dead_letters_parked_total", reason=reason)
        for reason in ("decision_raised", "not_json", "other", "held")
    }
    assert counts == {"decision_raised": 1, "not_json": 2, "other": 1, "held": 0}


def test_events_of_a_timer_count_as_those_of_a_batch_do(measured: Measured) -> None:
    measured.instruments.count_emitted([Emitted(rejected(ReasonCode.DEADLINE), None, NOW)])

    series = {"outcome": "rejected", "reason": "deadline"}
    assert measured.value("enrollment_outcomes_total", **series) == 1
    assert measured.value("events_emitted_total") == 1
    assert measured.value("messages_read_total") == 0


def row_of(event: EnrollmentEvent, occurred_at: datetime) -> OutboxRow:
    name = type(event).__name__
    return OutboxRow(1, new_event_id(), name, "t", "k", "s", occurred_at, None, b"")


def test_published_events_count_and_so_does_how_long_each_waited(measured: Measured) -> None:
    rows = [row_of(confirmed(), at) for at in (NOW, NOW, SOON)]

    measured.instruments.count_published(rows)

    assert measured.value("events_published_total") == 3
    assert measured.value("outbox_wait_seconds_count") == 3
    assert measured.value("outbox_wait_seconds_sum") == 5.0


def test_a_breaker_is_shown_from_its_beginning_and_its_changes_are_counted(
    measured: Measured,
) -> None:
    closed, opened = BreakerState.CLOSED, BreakerState.OPEN
    changes = {"breaker": "kafka", "from": "closed", "to": "open"}
    measured.instruments.breaker_made("kafka")
    before = shown(measured.instruments.metrics)
    measured.instruments.breaker_changed("kafka", closed, opened)

    assert before[("breaker_open", labels(breaker="kafka"))] == 0
    assert before[("breaker_changes_total", labels(**changes))] == 0
    assert measured.value("breaker_open", breaker="kafka") == 1
    assert measured.value("breaker_changes_total", **changes) == 1


async def test_a_loop_that_is_held_up_is_seen_to_be_late(measured: Measured) -> None:
    measuring = asyncio.create_task(measure_delay(measured.instruments.loop_delays))
    await asyncio.sleep(0.01)
    time.sleep(1.0)  # noqa: ASYNC251  that is what is to be seen
    while measured.value("event_loop_delay_seconds_count") < 1:
        await asyncio.sleep(0.01)
    measuring.cancel()

    bucket = measured.value("event_loop_delay_seconds_bucket", le="0.5")
    assert bucket < measured.value("event_loop_delay_seconds_count")


@pytest.fixture
async def database(enrollment_database: Database) -> Database:
    await make_tally(enrollment_database)
    return enrollment_database


def worker_of(measured: Measured, open_unit: Any) -> Worker[Any]:
    async def on_handled(handled: Handled) -> None:
        measured.instruments.batch_handled(handled)

    return Worker(
        open_unit,
        REACTIONS,
        lambda: measured.now,
        database_breaker=new_breaker(),
        on_handled=on_handled,
    )


async def test_a_batch_that_is_rolled_back_and_repeated_counts_once(
    measured: Measured, database: Database
) -> None:
    conflict = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$"
    save_once_badly, calls = once(conflict)
    worker = worker_of(measured, opening(database, save=save_once_badly))

    await worker.handle(batch_of([message_of(validated(), 0), message_of(validated(), 1)]))

    assert len(calls) == 2
    assert measured.value("messages_read_total") == 2
    assert measured.value("events_emitted_total") == 2
    assert measured.value("batch_size_count") == 1


async def test_a_batch_that_is_cancelled_counts_nothing(
    measured: Measured, database: Database
) -> None:
    async def cancel(transaction: Any, state: Any) -> None:
        await save(transaction, state)
        raise asyncio.CancelledError

    worker = worker_of(measured, opening(database, load, cancel))

    with pytest.raises(asyncio.CancelledError):
        await worker.handle(batch_of([message_of(validated(), 0)]))

    assert measured.value("messages_read_total") == 0
    assert measured.value("events_emitted_total") == 0
    assert measured.value("batch_size_count") == 0


async def test_of_a_batch_that_is_taken_one_by_one_each_event_counts_once(
    measured: Measured, database: Database
) -> None:
    worker = worker_of(measured, opening(database))
    events = [validated(), validated(REFUSED_CREDITS), validated()]

    await worker.handle(batch_of([message_of(one, number) for number, one in enumerate(events)]))

    assert measured.value("messages_read_total") == 3
    assert measured.value("events_emitted_total") == 2
    assert measured.value("dead_letters_parked_total", reason="database_refused") == 1
    assert measured.value("batch_size_count") == 1


LETTER = """
INSERT INTO dead_letter (topic, partition, "offset", headers, reason, detail, holds, parked_at)
SELECT 'enrollment.events', 0, n, '[]', $1, '', false, $2 FROM generate_series(1, $3::int) AS n
ON CONFLICT DO NOTHING
"""


async def test_what_is_parked_now_is_shown_by_reason_with_the_age_of_the_oldest(
    measured: Measured, database: Database
) -> None:
    await rows_of(database, LETTER, "not_json", NOW, 2)
    await rows_of(database, LETTER, "of another version", SOON, 3)  # the third alone is new

    await measured.instruments.read_database(database, LATER)

    counts = {
        reason: measured.value("dead_letters", reason=reason)
        for reason in ("not_json", "other", "held")
    }
    assert counts == {"not_json": 2, "other": 1, "held": 0}
    assert measured.value("dead_letters_oldest_seconds") == 2.0
    assert measured.value("database_up") == 1
    waiting = measured.instruments.waiting_lately()
    assert waiting is not None
    assert waiting.dead_letters == 3


async def test_before_the_database_has_answered_nothing_is_shown_of_it(measured: Measured) -> None:
    found = {name for name, _ in shown(measured.instruments.metrics)}

    assert measured.value("database_up") == 0
    assert found.isdisjoint(
        {"outbox_depth", "outbox_oldest_seconds", "dead_letters", "dead_letters_oldest_seconds"}
    )
