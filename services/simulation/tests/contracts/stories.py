"""Random stories of one service: batches, operators, clocks and relays, one after the other."""

import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

from services.enrollment.handlers import reject_overdue
from services.simulation.plan import Setting
from services.simulation.tests.contracts.making import NOW, TERM, message_of, rejected, validated
from services.simulation.tests.contracts.postgres import Postgres, Session
from services.simulation.wiring import Poisoned, parts_of
from shared.choreography import SECTION_CATALOG, STUDENT_CATALOG, TOPIC_OF, Service
from shared.codec import decode, uses_inbox
from shared.dead_letter import Outcome, discard, replay
from shared.errors import DeadLetterError, RivalRowError, StaleBatchError
from shared.events import (
    EnrollmentCancelled,
    EnrollmentRejected,
    EnrollmentRequested,
    Event,
    MalformedRequest,
    Reason,
    ReasonCode,
    SectionState,
    SectionWithdrawn,
    Stage,
    StudentWithdrawn,
)
from shared.identifiers import (
    CourseId,
    EnrollmentId,
    EventId,
    PartitionKey,
    SectionId,
    SectionKey,
    StudentId,
    Term,
)
from shared.message import Arrival, Message, Move, Unreadable
from shared.reaction import Batch, Reactions, react

ENROLLMENTS = [EnrollmentId(UUID(int=number)) for number in range(1, 25)]
SECTIONS = [SectionId(name) for name in "ABC"]
STUDENTS = [StudentId(name) for name in ("S1", "S2", "S3", "S4")]
TERMS = [TERM, Term("U")]
SETTING = Setting(
    partitions=1, instances=1, latency_us=0, deadline_seconds=20.0, pending_max=1000, skew_us=()
)
ENDS = {EnrollmentRejected, EnrollmentCancelled}  # no enrollment does much after its end
EXPECTED_ERRORS = (StaleBatchError, DeadLetterError, RivalRowError)

Step = Callable[[Postgres], Awaitable[object]]


class Story:
    """Makes steps that can be taken on any database of the service, with the same contents."""

    def __init__(self, service: Service, seed: int) -> None:
        self._service = service
        self._random = Random(seed)
        self._offsets: dict[str, int] = defaultdict(int)
        self._now = NOW
        self._poisoned: Poisoned = set()
        self._reactions: Reactions[Any] = parts_of(service, SETTING, self._poison()).reactions

    def _poison(self) -> Poisoned:
        names = [event.__name__ for event in parts_of(self._service, SETTING, set()).reactions]
        poisoned = self._random.sample(ENROLLMENTS, 8)
        self._poisoned |= {(self._random.choice(names), one) for one in poisoned}
        return self._poisoned

    def steps(self, count: int) -> Iterator[Step]:
        """Tell it."""
        for number in range(count):
            self._now += timedelta(seconds=self._random.randrange(4))
            if number == count * 2 // 3:
                yield self._mend
            yield self._step()

    async def _mend(self, _postgres: Postgres) -> None:
        self._poisoned.clear()

    def _step(self) -> Step:
        random = self._random
        kind = random.choices(
            [self._batch, self._replay, self._discard, self._relay, self._expire],
            [10, 3, 1, 2, 2 if self._service is Service.ENROLLMENT else 0],
        )
        return kind[0]()

    def _batch(self) -> Step:
        messages = [self._message() for _ in range(self._random.randrange(8))]
        ends = {message.partition_key: message.offset + 1 for message in messages}
        is_stale, is_committed = self._random.random() < 0.1, self._random.random() < 0.9
        moves = {key: Move(self._offsets[key.topic] + is_stale, end) for key, end in ends.items()}
        if is_committed and not is_stale:
            self._offsets.update({key.topic: end for key, end in ends.items()})
        return partial(
            _handle, self._read(messages, moves), self._reactions, self._now, is_committed
        )

    def _message(self) -> Message:
        types = list(self._reactions)
        weights = [1 if one in ENDS else 5 for one in types]
        [event_type] = self._random.choices(types, weights)
        made = message(event_type, self._random)
        offset = self._offsets[made.topic] + self._random.randrange(3)
        return Message(made.topic, 0, offset, made.key, made.value, made.headers)

    def _read(self, messages: Sequence[Message], moves: dict[PartitionKey, Move]) -> Batch:
        found = [decode(one, self._reactions.keys()) for one in messages]
        arrivals = [one for one in found if isinstance(one, Arrival)]
        return Batch(arrivals, [one for one in found if isinstance(one, Unreadable)], moves)

    def _replay(self) -> Step:
        return partial(_replay, self._random.randrange(20), self._reactions, self._now)

    def _discard(self) -> Step:
        outcome = self._random.choice([None, Outcome.REJECTED, Outcome.STANDS])
        number = self._random.randrange(20)
        return partial(_discard, number, self._reactions, self._now, outcome)

    def _relay(self) -> Step:
        return partial(_relay, self._random.randrange(1, 6))

    def _expire(self) -> Step:
        return partial(_expire, self._now)


def message(event_type: type[Event], random: Random) -> Message:
    """Make a message of a type, now and then one that cannot be read, and often one seen before."""
    event_id = EventId(UUID(int=random.randrange(1, 400)))
    if event_type is MalformedRequest:
        made = message_of(_event(EnrollmentRequested, random), 0, event_id)
        body = json.loads(made.value or b"") | {"sections": []}
        return Message(made.topic, 0, 0, made.key, json.dumps(body).encode(), made.headers)
    if event_type is SectionWithdrawn:
        key = f"{TERM}/{random.choice(SECTIONS)}"
        return Message(SECTION_CATALOG.name, 0, 0, key.encode(), None, ())
    if event_type is StudentWithdrawn:
        return Message(STUDENT_CATALOG.name, 0, 0, random.choice(STUDENTS).encode(), None, ())
    if random.random() < 0.05:
        return Message(TOPIC_OF[event_type].name, 0, 0, None, b"\x00", (("ce_type", b"Unknown"),))
    return message_of(_event(event_type, random), 0, event_id)


def _event(event_type: type[Event], random: Random) -> Event:
    """Fill in what the type has of these fields."""
    sections = tuple(random.sample(SECTIONS, random.randrange(1, 3)))
    reason = Reason(code=random.choice(list(ReasonCode)), section_id=sections[0], detail="ñ")
    section_id = random.choice(SECTIONS)
    enrollment_id = random.choice(ENROLLMENTS)
    whose = enrollment_id.int % len(STUDENTS) if random.random() < 0.9 else 0
    values = {
        "enrollment_id": enrollment_id,
        "student_id": STUDENTS[whose],
        "term": random.choices(TERMS, [4, 1])[0],
        "sections": sections,
        "deadline_at": NOW,
        "deadline_seconds": random.uniform(1, 9),  # no two alike: they would have no order
        "reason": random.choice([None, "no time"]),
        "stage": random.choice(list(Stage)),
        "reasons": (reason,),
        "was": random.choice(["pending", "confirmed"]),
        "credits": random.randrange(1, 9),
        "seats": (),
        "version": random.randrange(1, 9),
        "section_id": section_id,
        "course_id": CourseId(f"C{section_id}"),
        "capacity": random.randrange(6),
        "state": random.choices(list(SectionState), [8, 1, 1])[0],
        "max_credits": random.randrange(60),
    }
    return event_type.model_validate(values)


async def _in_one(
    postgres: Postgres, work: Callable[[Session], Awaitable[Any]], *, is_committed: bool = True
) -> Any:
    """Do something in a transaction; give what came of it, or what was wrong with it."""
    session = await postgres.begin()
    try:
        told = await work(session)
    except EXPECTED_ERRORS as error:
        await session.roll_back()
        return type(error), str(error)
    await (session.commit() if is_committed else session.roll_back())
    return told


async def _handle(
    batch: Batch, reactions: Reactions[Any], now: datetime, is_committed: bool, postgres: Postgres
) -> Any:
    return await _in_one(
        postgres,
        lambda session: session.do(
            react(session.unit, batch, reactions, now, uses_inbox=uses_inbox)
        ),
        is_committed=is_committed,
    )


async def _letter(number: int, postgres: Postgres) -> int:
    """Choose a dead letter; 0 is none, and so is any where there are none."""
    letters = await postgres.dead_letters()
    return letters[number % len(letters)].id if letters and number else number


async def _replay(
    number: int, reactions: Reactions[Any], now: datetime, postgres: Postgres
) -> object:
    chosen = await _letter(number, postgres)
    return await _in_one(
        postgres,
        lambda session: session.do(
            replay(session.letters, session.unit, chosen, reactions, operator="ana", now=now)
        ),
    )


async def _discard(
    number: int,
    reactions: Reactions[Any],
    now: datetime,
    outcome: Outcome | None,
    postgres: Postgres,
) -> object:
    chosen = await _letter(number, postgres)

    def work(session: Session) -> Awaitable[Any]:
        letters, unit = session.letters, session.unit
        return session.do(
            discard(letters, unit, chosen, reactions, outcome=outcome, operator="ana", now=now)
        )

    return await _in_one(postgres, work)


async def _expire(now: datetime, postgres: Postgres) -> Any:
    return await _in_one(postgres, lambda session: session.do(reject_overdue(session.unit, now)))


async def _relay(count: int, postgres: Postgres) -> object:
    relay = await postgres.lease()
    rows = await relay.oldest(count)
    await relay.delete([row.id for row in rows])
    await relay.leave()
    return rows


async def contents(postgres: Postgres) -> dict[str, Any]:
    """Read all that a database has."""
    asked: list[Event] = [rejected(validated(enrollment_id=one)) for one in ENROLLMENTS]
    asked += [SectionWithdrawn(key=SectionKey(t, s)) for t in TERMS for s in SECTIONS]
    asked += [StudentWithdrawn(student_id=one) for one in STUDENTS]
    state = await postgres.load(*asked)
    tables = ("enrollments", "claims", "students", "reservations", "sections")
    rows = {name: getattr(state, name).all() for name in tables if hasattr(state, name)}
    found: dict[str, Any] = {name: sorted(some, key=repr) for name, some in rows.items()}
    return found | {
        "offsets": await postgres.offsets(),
        "outbox": await postgres.outbox(),
        "letters": await postgres.dead_letters(),
        "audit": await postgres.audit_trail(),
    }
