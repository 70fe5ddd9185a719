"""The worker on a real database: batches are retried, narrowed down, and never done twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest

from shared.breaker import DATABASE_POLICY, Breaker, BreakerState
from shared.database import Database, Transaction
from shared.desk import ReadBatch
from shared.errors import RivalRowError, StaleBatchError
from shared.events import Event
from shared.identifiers import EnrollmentId, PartitionKey, new_event_id
from shared.message import Message, Move
from shared.reaction import OpenUnit, Unit
from shared.retry import is_database_outage
from shared.tests.machinery import (
    NOW,
    RAISING_CREDITS,
    REACTIONS,
    REFUSED_CREDITS,
    TOPIC,
    TallyState,
    batch_of,
    eventually,
    load,
    make_tally,
    message_of,
    offset_of,
    proxied,
    rows_of,
    save,
    tally_of,
    validated,
    value_of,
)
from shared.unit import Load, Save, units
from shared.worker import Handled, Worker

Open = OpenUnit[TallyState]
LETTERS = 'SELECT reason, "offset", event_type, holds FROM dead_letter ORDER BY "offset"'
OUTBOX = "SELECT count(*) FROM outbox"


@pytest.fixture
async def database(enrollment_database: Database) -> Database:
    await make_tally(enrollment_database)
    return enrollment_database


def opening(
    database: Database, load: Load[TallyState] = load, save: Save[TallyState] = save
) -> Open:
    return units(database, load, save, new_event_id)


def new_breaker() -> Breaker:
    policy = DATABASE_POLICY.probing_every(0.2)
    return Breaker("database", policy, timeout_seconds=35, is_failure=is_database_outage)


class Working:
    """A worker, and what it said of its batches."""

    def __init__(
        self, open_unit: Open, breaker: Breaker | None = None, *, parks_unreadable: bool = True
    ) -> None:
        self.handled: list[Handled] = []
        self.worker = Worker(
            open_unit,
            REACTIONS,
            lambda: NOW,
            database_breaker=breaker or new_breaker(),
            on_handled=self._note,
            parks_unreadable=parks_unreadable,
        )

    async def _note(self, handled: Handled) -> None:
        self.handled.append(handled)

    async def handle(self, batch: ReadBatch) -> None:
        await asyncio.wait_for(self.worker.handle(batch), 25)


def once(
    statement: str,
) -> tuple[Save[TallyState], list[int]]:
    """Make a `save` whose first call also runs a statement; give it, and the list of its calls."""
    calls: list[int] = []

    async def save_once_badly(transaction: Transaction, state: TallyState) -> None:
        calls.append(len(state.decided))
        await save(transaction, state)
        if len(calls) == 1:
            await transaction.execute(statement)

    return save_once_badly, calls


async def test_a_batch_is_committed_with_its_offsets_its_ids_and_its_events(
    database: Database,
) -> None:
    events = [validated(number) for number in range(3)]
    working = Working(opening(database))

    await working.handle(batch_of([message_of(e, 10 + n) for n, e in enumerate(events)], 0))

    assert await tally_of(database) == {e.enrollment_id: (1, e.credits) for e in events}
    assert await offset_of(database, TOPIC) == 13
    assert await value_of(database, "SELECT count(*) FROM inbox") == 3
    assert await value_of(database, OUTBOX) == 3
    [handled] = working.handled
    assert (handled.read, len(handled.folded.emitted), handled.folded.parked) == (3, 3, [])


async def test_an_event_that_was_taken_before_or_is_in_the_batch_twice_is_taken_once(
    database: Database,
) -> None:
    event, event_id = validated(), new_event_id()
    working = Working(opening(database))
    await working.handle(batch_of([message_of(event, 0, event_id), message_of(event, 1, event_id)]))

    await working.handle(batch_of([message_of(event, 2, event_id)]))

    assert await tally_of(database) == {event.enrollment_id: (1, 3)}
    assert await offset_of(database, TOPIC) == 3
    assert [handled.folded.duplicates for handled in working.handled] == [1, 1]


@pytest.mark.parametrize(
    "statement",
    [
        "DO $$ BEGIN RAISE EXCEPTION 'rivals' USING ERRCODE = '40001'; END $$",
        "DO $$ BEGIN RAISE EXCEPTION 'rivals' USING ERRCODE = '55P03'; END $$",
        "SELECT pg_terminate_backend(pg_backend_pid())",
    ],
    ids=["serialization", "lock-timeout", "connection-lost"],
)
async def test_a_batch_that_the_database_could_not_do_now_is_done_again_and_once(
    database: Database, statement: str
) -> None:
    events = [validated(number) for number in range(3)]
    save_once_badly, calls = once(statement)
    working = Working(opening(database, save=save_once_badly))

    await working.handle(batch_of([message_of(e, n) for n, e in enumerate(events)]))

    assert calls == [3, 3]
    assert await tally_of(database) == {e.enrollment_id: (1, e.credits) for e in events}
    assert await value_of(database, OUTBOX) == 3
    assert await rows_of(database, LETTERS) == []


async def test_a_batch_whose_row_a_rival_has_made_is_decided_again(database: Database) -> None:
    calls: list[int] = []

    async def save_after_a_rival(transaction: Transaction, state: TallyState) -> None:
        calls.append(len(state.decided))
        await save(transaction, state)
        if len(calls) == 1:
            raise RivalRowError("made meanwhile")

    event = validated()

    await Working(opening(database, save=save_after_a_rival)).handle(
        batch_of([message_of(event, 0)])
    )

    assert calls == [1, 1]
    assert await tally_of(database) == {event.enrollment_id: (1, event.credits)}
    assert await value_of(database, OUTBOX) == 1
    assert await rows_of(database, LETTERS) == []


async def test_the_loser_of_a_deadlock_is_done_again_and_nothing_is_doubled(
    database: Database,
) -> None:
    one, other = validated(1), validated(2)
    both_hold = asyncio.Barrier(2)

    def rival(mine: EnrollmentId, theirs: EnrollmentId) -> tuple[Load[TallyState], list[int]]:
        calls: list[int] = []

        async def load_across(transaction: Transaction, events: Sequence[Event]) -> TallyState:
            calls.append(1)
            await transaction.execute("SELECT FROM tally WHERE enrollment_id = $1 FOR UPDATE", mine)
            if len(calls) == 1:
                await both_hold.wait()
            await transaction.execute(
                "SELECT FROM tally WHERE enrollment_id = $1 FOR UPDATE", theirs
            )
            return await load(transaction, events)

        return load_across, calls

    await Working(opening(database)).handle(batch_of([message_of(one, 0), message_of(other, 1)]))
    forth, forth_calls = rival(one.enrollment_id, other.enrollment_id)
    back, back_calls = rival(other.enrollment_id, one.enrollment_id)
    batch = batch_of([message_of(one, 2), message_of(other, 3)])
    elsewhere = ReadBatch([message_of(one, 4)], {PartitionKey("elsewhere", 0): Move(0, 1)})

    await asyncio.gather(
        Working(opening(database, forth)).handle(batch),
        Working(opening(database, back)).handle(elsewhere),
    )

    assert sorted([len(forth_calls), len(back_calls)]) == [1, 2]
    assert await tally_of(database) == {one.enrollment_id: (3, 1), other.enrollment_id: (2, 2)}


async def test_a_commit_whose_answer_was_lost_is_not_done_again(database: Database) -> None:
    event, calls = validated(), []

    @asynccontextmanager
    async def deaf() -> AsyncIterator[Unit[TallyState]]:
        async with opening(database)() as unit:
            yield unit
        calls.append(1)
        if len(calls) == 1:
            raise asyncpg.ConnectionDoesNotExistError("connection was closed")

    with pytest.raises(StaleBatchError):
        await Working(deaf).handle(batch_of([message_of(event, 0)]))

    assert await tally_of(database) == {event.enrollment_id: (1, 3)}
    assert await value_of(database, OUTBOX) == 1


async def test_a_batch_of_a_partition_that_others_read_further_is_stale(
    database: Database,
) -> None:
    working = Working(opening(database))
    await working.handle(batch_of([message_of(validated(), 0)]))

    with pytest.raises(StaleBatchError):
        await working.handle(batch_of([message_of(validated(), 0)]))

    assert len(await tally_of(database)) == 1
    assert len(working.handled) == 1


async def test_an_event_that_the_database_refuses_is_parked_and_the_others_are_committed(
    database: Database,
) -> None:
    bad = validated(REFUSED_CREDITS)
    behind = validated(1, bad.enrollment_id)
    good = [validated(number) for number in range(3)]
    events = [good[0], bad, good[1], behind, good[2]]
    working = Working(opening(database))

    await working.handle(batch_of([message_of(event, n) for n, event in enumerate(events)]))

    assert await tally_of(database) == {e.enrollment_id: (1, e.credits) for e in good}
    assert await rows_of(database, LETTERS) == [
        ("database_refused", 1, "StudentValidated", True),
        ("held", 3, "StudentValidated", True),
    ]
    assert await offset_of(database, TOPIC) == 5
    assert await value_of(database, OUTBOX) == 3
    [handled] = working.handled
    assert len(handled.folded.emitted) == 3
    assert [parked.reason for parked in handled.folded.parked] == ["database_refused", "held"]


async def test_a_refused_event_is_not_taken_again_when_its_batch_is_read_again(
    database: Database,
) -> None:
    bad, event_id = validated(REFUSED_CREDITS), new_event_id()
    working = Working(opening(database))
    await working.handle(batch_of([message_of(bad, 0, event_id)]))

    await working.handle(batch_of([message_of(bad, 1, event_id)]))

    assert len(await rows_of(database, LETTERS)) == 1
    assert working.handled[1].folded.duplicates == 1


async def test_a_connection_lost_while_an_event_is_parked_is_only_a_delay(
    database: Database,
) -> None:
    async with database.transaction() as transaction:
        for statement in (
            "CREATE SEQUENCE attempts",
            """CREATE FUNCTION lose_the_first() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('attempts') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
            RETURN new; END $$""",
            """CREATE TRIGGER lose BEFORE INSERT ON dead_letter
            FOR EACH ROW EXECUTE FUNCTION lose_the_first()""",
        ):
            await transaction.execute(statement)
    bad, good = validated(REFUSED_CREDITS), validated(1)

    await Working(opening(database)).handle(batch_of([message_of(bad, 0), message_of(good, 1)]))

    assert await rows_of(database, LETTERS) == [("database_refused", 0, "StudentValidated", True)]
    assert await tally_of(database) == {good.enrollment_id: (1, 1)}
    assert await offset_of(database, TOPIC) == 2


async def test_one_by_one_too_a_batch_that_others_read_further_is_stale(
    database: Database,
) -> None:
    good, bad = validated(1), validated(REFUSED_CREDITS)
    opened: list[int] = []

    async def others_read_further() -> None:
        await rows_of(database, "INSERT INTO consumer_offset VALUES ($1, 0, 50)", TOPIC)

    open_unit = before_opening(database, opened, {2: others_read_further})

    with pytest.raises(StaleBatchError):
        await Working(open_unit).handle(batch_of([message_of(good, 0), message_of(bad, 1)]))

    assert await tally_of(database) == {}
    assert await rows_of(database, LETTERS) == []
    assert await offset_of(database, TOPIC) == 50


def before_opening(
    database: Database, opened: list[int], then: dict[int, Callable[[], Awaitable[None]]]
) -> Open:
    """Do something before a unit is opened, by the number of the unit."""

    @asynccontextmanager
    async def open_unit() -> AsyncIterator[Unit[TallyState]]:
        opened.append(1)
        if len(opened) in then:
            await then[len(opened)]()
        async with opening(database)() as unit:
            yield unit

    return open_unit


async def test_what_cannot_be_read_is_parked_and_holds_nothing(database: Database) -> None:
    garbage = Message(TOPIC, 0, 0, b"S1", b"{not json", ())
    event = validated()

    await Working(opening(database)).handle(batch_of([garbage, message_of(event, 1)]))

    assert await rows_of(database, LETTERS) == [("not_json", 0, None, False)]
    assert await tally_of(database) == {event.enrollment_id: (1, 3)}


async def test_who_only_looks_on_passes_over_what_cannot_be_read(database: Database) -> None:
    garbage = Message(TOPIC, 0, 0, b"S1", b"{not json", ())
    working = Working(opening(database), parks_unreadable=False)

    await working.handle(batch_of([garbage]))

    assert await rows_of(database, LETTERS) == []
    assert await offset_of(database, TOPIC) == 1


async def test_a_decision_that_raises_is_parked_at_once_without_a_second_attempt(
    database: Database,
) -> None:
    opened: list[int] = []
    bad, good = validated(RAISING_CREDITS), validated(1)

    await Working(before_opening(database, opened, {})).handle(
        batch_of([message_of(bad, 0), message_of(good, 1)])
    )

    assert len(opened) == 1
    assert await rows_of(database, LETTERS) == [("decision_raised", 0, "StudentValidated", True)]
    assert await tally_of(database) == {good.enrollment_id: (1, 1)}


async def test_an_outage_opens_the_breaker_and_the_batch_waits_for_its_end(
    database: Database,
) -> None:
    event, breaker = validated(), new_breaker()
    async with proxied(database) as (proxy, url):
        through = Database(url, application_name="test")
        working = Working(opening(through), breaker)
        await working.handle(batch_of([message_of(validated(), 0)]))
        await proxy.cut()

        at_work = asyncio.create_task(working.handle(batch_of([message_of(event, 1)])))
        await eventually(lambda: breaker.snapshot().state is BreakerState.OPEN)
        failures = breaker.snapshot().failure_count
        await asyncio.sleep(0.5)
        assert not at_work.done()
        await proxy.open()
        await at_work
        await working.handle(batch_of([message_of(validated(), 2)]))

        assert failures == 3
        assert breaker.snapshot().state is BreakerState.CLOSED
        await through.close()
    assert (await tally_of(database))[event.enrollment_id] == (1, 3)
    assert len(working.handled) == 3


async def test_a_cancelled_batch_is_rolled_back_and_can_be_done_later(database: Database) -> None:
    event, inside = validated(), asyncio.Event()

    async def slow_save(transaction: Transaction, state: TallyState) -> None:
        await save(transaction, state)
        inside.set()
        await transaction.execute("SELECT pg_sleep(20)")

    batch = batch_of([message_of(event, 0)])
    at_work = asyncio.create_task(Working(opening(database, save=slow_save)).handle(batch))
    await inside.wait()
    await asyncio.sleep(0.05)
    at_work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await at_work
    assert await tally_of(database) == {}

    await Working(opening(database)).handle(batch)

    assert await tally_of(database) == {event.enrollment_id: (1, 3)}
