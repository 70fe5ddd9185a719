from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest

from shared import audit_trail, dead_letter, inbox, letter_rows
from shared.choreography import TOPIC_OF
from shared.codec import encode_body, encode_headers
from shared.database import Database, Transaction
from shared.dead_letter import DeadLetter, Outcome
from shared.errors import DeadLetterError
from shared.events import (
    EnrollmentCancellationRequested,
    EnrollmentCancelled,
    EnrollmentEvent,
    EnrollmentOpened,
    EnrollmentRejected,
    EnrollmentRequested,
    Event,
    MalformedRequest,
    Reason,
    ReasonCode,
    SeatReserved,
    SeatUnavailable,
    Stage,
    StudentRejected,
    StudentValidated,
)
from shared.identifiers import EnrollmentId, EventId, SectionId, StudentId, Term, new_event_id
from shared.letter_rows import PostgresLetters, Wanted
from shared.message import Emitted, Message
from shared.reaction import Context, Folded, Parked, Reactions
from shared.unit import PostgresUnit

NOW = datetime(2030, 1, 2, tzinfo=UTC)
EVENT_ID = EventId(UUID(int=9))
SUBJECT: dict[str, Any] = {
    "enrollment_id": EnrollmentId(UUID(int=1)),
    "student_id": StudentId("s-1"),
    "term": Term("2030"),
    "sections": (SectionId("a"),),
}
REQUEST = EnrollmentRequested(**SUBJECT)
CANCEL = EnrollmentCancellationRequested(enrollment_id=UUID(int=1), student_id="s-1")
OPENED = EnrollmentOpened(**SUBJECT, deadline_at=NOW)
VALIDATED = StudentValidated(**SUBJECT, credits=3)
REFUSAL = (Reason(code=ReasonCode.SECTION_FULL, detail="full"),)
REJECTED = EnrollmentRejected(**SUBJECT, stage=Stage.CAPACITY, reasons=REFUSAL)
CANCELLED = EnrollmentCancelled(**SUBJECT, was="confirmed")
BOTH = ["EnrollmentRequested", "EnrollmentCancellationRequested"]


@dataclass
class Desk:
    """Plays a service: notes which events it decides, and refuses those it is told to."""

    decided: list[Event] = field(default_factory=list)
    poison: type[Event] | None = None

    def decide(self, _state: None, event: Event, context: Context) -> Sequence[Emitted]:
        if type(event) is self.poison:
            raise ValueError("poison")
        self.decided.append(event)
        return context.emit([OPENED])

    @property
    def reactions(self) -> Reactions[None]:
        known: list[type[Event]] = [*TOPIC_OF, MalformedRequest]
        return dict.fromkeys(known, self.decide)


@asynccontextmanager
async def opened(
    database: Database,
) -> AsyncIterator[tuple[Transaction, PostgresUnit[None]]]:
    async def load(_transaction: Transaction, _events: Sequence[Event]) -> None:
        return None

    async def save(_transaction: Transaction, _state: None) -> None:
        return None

    async with database.transaction() as transaction:
        yield transaction, PostgresUnit(transaction, load, save, new_event_id)


def message_of(event: Event, offset: int = 0) -> Message:
    name = type(event).__name__
    headers = encode_headers(
        event_id=EVENT_ID,
        event_type=name,
        source="test",
        subject="1",
        occurred_at=NOW,
        traceparent=None,
    )
    raw = tuple((key, bytes(value)) for key, value in headers if isinstance(value, bytes))
    return Message(TOPIC_OF[type(event)].name, 0, offset, b"s-1", encode_body(event), raw)


async def park(database: Database, *events: EnrollmentEvent) -> list[int]:
    parked = [
        Parked(
            message_of(event, n), "test", "test", type(event).__name__, event.enrollment_id, True
        )
        for n, event in enumerate(events)
    ]
    async with database.transaction() as transaction:
        await letter_rows.park(transaction, parked, NOW)
        return [letter.id for letter in await letter_rows.read(transaction)]


async def park_unreadable(database: Database, message: Message) -> int:
    async with database.transaction() as transaction:
        await letter_rows.park(transaction, [Parked(message, "not_json", "test")], NOW)
        return (await letter_rows.read(transaction))[-1].id


async def replay(database: Database, letter_id: int, desk: Desk) -> Folded:
    async with opened(database) as (transaction, unit):
        return await dead_letter.replay(
            PostgresLetters(transaction),
            unit,
            letter_id,
            desk.reactions,
            operator="amalia",
            now=NOW,
        )


async def discard(
    database: Database, letter_id: int, outcome: Outcome | None = None, desk: Desk | None = None
) -> Folded:
    async with opened(database) as (transaction, unit):
        return await dead_letter.discard(
            PostgresLetters(transaction),
            unit,
            letter_id,
            (desk or Desk()).reactions,
            outcome=outcome,
            operator="amalia",
            now=NOW,
        )


async def left(database: Database) -> list[DeadLetter]:
    async with database.transaction() as transaction:
        return await letter_rows.read(transaction)


async def recorded(database: Database) -> list[tuple[str, str, str, str]]:
    async with database.transaction() as transaction:
        trail = await audit_trail.read(transaction)
    assert audit_trail.first_break(trail) is None
    return [(one.operator, one.action, one.subject, one.detail) for one in trail]


async def outbox_types(database: Database) -> list[str]:
    async with database.transaction() as transaction:
        rows = await transaction.fetch("SELECT event_type FROM outbox ORDER BY id")
    return [row["event_type"] for row in rows]


async def test_a_parked_message_is_read_back_as_it_came(enrollment_database: Database) -> None:
    [letter_id] = await park(enrollment_database, REQUEST)

    async with enrollment_database.transaction() as transaction:
        found = await letter_rows.find(transaction, letter_id)

    assert found.message == message_of(REQUEST)
    assert (found.event_type, found.enrollment_id, found.holds) == (
        "EnrollmentRequested",
        UUID(int=1),
        True,
    )


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (letter_rows.ALL, BOTH),
        (Wanted(SUBJECT["enrollment_id"]), BOTH),
        (Wanted(EnrollmentId(UUID(int=2))), []),
        (Wanted(event_type="EnrollmentRequested"), ["EnrollmentRequested"]),
        (Wanted(reason="test"), BOTH),
        (Wanted(event_type="EnrollmentRequested", reason="held"), []),
    ],
)
async def test_dead_letters_are_found_by_what_they_are(
    enrollment_database: Database, wanted: Wanted, found: list[str]
) -> None:
    await park(enrollment_database, REQUEST, CANCEL)

    async with enrollment_database.transaction() as transaction:
        letters = await letter_rows.read(transaction, wanted)

    assert [one.event_type for one in letters] == found


async def test_a_replay_takes_the_queue_in_order_and_is_recorded(
    enrollment_database: Database,
) -> None:
    first, _ = await park(enrollment_database, REQUEST, CANCEL)
    desk = Desk()

    await replay(enrollment_database, first, desk)

    assert desk.decided == [REQUEST, CANCEL]
    assert await left(enrollment_database) == []
    assert await outbox_types(enrollment_database) == ["EnrollmentOpened", "EnrollmentOpened"]
    assert [(who, what) for who, what, _, _ in await recorded(enrollment_database)] == [
        ("amalia", "dead_letter.replay"),
        ("amalia", "dead_letter.replay"),
    ]


async def test_a_replay_decides_although_parking_took_the_id_of_the_event(
    enrollment_database: Database,
) -> None:
    [letter_id] = await park(enrollment_database, VALIDATED)
    async with enrollment_database.transaction() as transaction:
        await inbox.claim(transaction, [EVENT_ID])
    desk = Desk()

    await replay(enrollment_database, letter_id, desk)

    assert desk.decided == [VALIDATED]
    assert await outbox_types(enrollment_database) == ["EnrollmentOpened"]


async def test_a_second_replay_finds_nothing(enrollment_database: Database) -> None:
    [letter_id] = await park(enrollment_database, REQUEST)
    await replay(enrollment_database, letter_id, Desk())

    with pytest.raises(DeadLetterError, match=f"there is no dead letter {letter_id}"):
        await replay(enrollment_database, letter_id, Desk())


async def test_a_replay_that_fails_again_changes_nothing(enrollment_database: Database) -> None:
    first, _ = await park(enrollment_database, REQUEST, CANCEL)

    with pytest.raises(DeadLetterError, match="fails again"):
        await replay(enrollment_database, first, Desk(poison=EnrollmentCancellationRequested))

    assert len(await left(enrollment_database)) == 2
    assert await outbox_types(enrollment_database) == []
    assert await recorded(enrollment_database) == []


async def test_a_replay_gives_a_trace_to_what_came_without_one(
    enrollment_database: Database,
) -> None:
    [letter_id] = await park(enrollment_database, REQUEST)

    folded = await replay(enrollment_database, letter_id, Desk())

    assert folded.emitted[0].traceparent is not None


@pytest.mark.parametrize(
    "event",
    [
        OPENED,
        VALIDATED,
        StudentRejected(**SUBJECT, reasons=REFUSAL),
        SeatReserved(**SUBJECT, seats=()),
        SeatUnavailable(**SUBJECT, seats=(), reasons=REFUSAL),
    ],
    ids=lambda event: type(event).__name__,
)
async def test_what_the_deadline_ends_may_be_discarded(
    enrollment_database: Database, event: EnrollmentEvent
) -> None:
    [letter_id] = await park(enrollment_database, event)
    desk = Desk()

    await discard(enrollment_database, letter_id, desk=desk)

    assert await left(enrollment_database) == []
    assert desk.decided == []
    [(who, what, where, _)] = await recorded(enrollment_database)
    assert (who, what, where) == (
        "amalia",
        "dead_letter.discard",
        f"{TOPIC_OF[type(event)].name}/0/0",
    )


@pytest.mark.parametrize("event", [REJECTED, CANCELLED], ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("outcome", [None, *Outcome])
async def test_what_ends_an_enrollment_is_never_discarded(
    capacity_database: Database, event: EnrollmentEvent, outcome: Outcome | None
) -> None:
    [letter_id] = await park(capacity_database, event)

    with pytest.raises(DeadLetterError, match="must not be discarded"):
        await discard(capacity_database, letter_id, outcome)

    assert len(await left(capacity_database)) == 1


async def test_what_ends_an_enrollment_is_kept_although_it_cannot_be_read(
    capacity_database: Database,
) -> None:
    letter_id = await park_unreadable(capacity_database, message_of(REJECTED))

    with pytest.raises(DeadLetterError, match="an EnrollmentRejected must not be discarded"):
        await discard(capacity_database, letter_id)


async def test_what_nobody_can_read_may_be_discarded(enrollment_database: Database) -> None:
    letter_id = await park_unreadable(enrollment_database, message_of(REQUEST))

    await discard(enrollment_database, letter_id)

    assert await left(enrollment_database) == []


@pytest.mark.parametrize(
    ("event", "outcome"),
    [(REQUEST, None), (REQUEST, Outcome.STANDS), (CANCEL, None), (CANCEL, Outcome.REJECTED)],
    ids=lambda value: str(value) if isinstance(value, str) else type(value).__name__,
)
async def test_a_request_and_a_cancel_need_the_outcome_that_fits(
    enrollment_database: Database, event: EnrollmentEvent, outcome: Outcome | None
) -> None:
    [letter_id] = await park(enrollment_database, event)

    with pytest.raises(DeadLetterError, match="is discarded only with the outcome"):
        await discard(enrollment_database, letter_id, outcome)

    assert len(await left(enrollment_database)) == 1


async def test_an_outcome_is_refused_where_there_is_none_to_choose(
    enrollment_database: Database,
) -> None:
    [letter_id] = await park(enrollment_database, VALIDATED)

    with pytest.raises(DeadLetterError, match="is discarded without an outcome"):
        await discard(enrollment_database, letter_id, Outcome.REJECTED)


async def test_a_discarded_request_is_decided_as_one_with_bad_content(
    enrollment_database: Database,
) -> None:
    [letter_id] = await park(enrollment_database, REQUEST)
    desk = Desk(poison=EnrollmentRequested)

    await discard(enrollment_database, letter_id, Outcome.REJECTED, desk)

    [decided] = desk.decided
    assert isinstance(decided, MalformedRequest)
    assert (decided.enrollment_id, decided.student_id) == (UUID(int=1), "s-1")
    assert (decided.term, decided.sections) == ("2030", ("a",))
    assert decided.body_sha256 == sha256(encode_body(REQUEST)).digest()
    assert await left(enrollment_database) == []
    assert await outbox_types(enrollment_database) == ["EnrollmentOpened"]
    [(_, _, _, detail)] = await recorded(enrollment_database)
    assert "outcome rejected" in detail


async def test_a_discarded_cancel_decides_nothing(enrollment_database: Database) -> None:
    [letter_id] = await park(enrollment_database, CANCEL)
    desk = Desk()

    await discard(enrollment_database, letter_id, Outcome.STANDS, desk)

    assert desk.decided == []
    assert await left(enrollment_database) == []


async def test_only_the_first_of_a_queue_may_be_discarded(enrollment_database: Database) -> None:
    first, second = await park(enrollment_database, REQUEST, CANCEL)

    with pytest.raises(DeadLetterError, match=f"dead letter {first} comes before {second}"):
        await discard(enrollment_database, second, Outcome.STANDS)


async def test_those_behind_a_discarded_one_still_wait(enrollment_database: Database) -> None:
    first, second = await park(enrollment_database, REQUEST, CANCEL)

    await discard(enrollment_database, first, Outcome.REJECTED)

    assert [letter.id for letter in await left(enrollment_database)] == [second]
    async with enrollment_database.transaction() as transaction:
        held = await letter_rows.holding(transaction, [EnrollmentId(UUID(int=1))])
    assert held == {("enrollment.requests", UUID(int=1))}
