"""The relay's lease and the outbox: shown on the real PostgreSQL and on the simulated one."""

from collections.abc import Sequence

import pytest

from services.simulation.tests.contracts.making import NOW, TRACEPARENT, rejected, validated
from services.simulation.tests.contracts.postgres import DATABASE_ERRORS, Postgres, Session
from shared.errors import LeaseLostError
from shared.message import Emitted
from shared.outbox import OutboxRow
from shared.retry import is_database_outage


async def emit(session: Session, *names: str) -> None:
    events = [Emitted(rejected(validated(student=name)), TRACEPARENT) for name in names]
    await session.do(session.unit.emit(events, NOW))


async def say(postgres: Postgres, *names: str) -> None:
    session = await postgres.begin()
    await emit(session, *names)
    await session.commit()


def said(rows: Sequence[OutboxRow]) -> list[str]:
    return [row.key for row in rows]


async def test_a_second_relay_is_refused_until_the_first_is_done(capacity: Postgres) -> None:
    first = await capacity.lease()

    with pytest.raises(LeaseLostError):
        await capacity.lease()

    await first.leave()
    second = await capacity.lease()
    assert await second.oldest() == []


async def test_to_refuse_a_relay_takes_nothing_from_the_first(capacity: Postgres) -> None:
    await say(capacity, "1")
    first = await capacity.lease()
    with pytest.raises(LeaseLostError):
        await capacity.lease()

    assert said(await first.oldest()) == ["1"]
    with pytest.raises(LeaseLostError):
        await capacity.lease()


async def test_a_lease_goes_with_its_connection_and_another_may_have_it(capacity: Postgres) -> None:
    await say(capacity, "1")
    first = await capacity.lease()
    await capacity.crash()

    second = await capacity.lease()
    with pytest.raises(DATABASE_ERRORS) as told:
        await first.oldest()
    await first.leave()

    assert is_database_outage(told.value)
    assert said(await second.oldest()) == ["1"]
    with pytest.raises(LeaseLostError):  # the first, as it went, gave nothing back
        await capacity.lease()


async def test_a_relay_that_has_lost_its_lease_deletes_nothing(capacity: Postgres) -> None:
    await say(capacity, "1")
    first = await capacity.lease()
    await capacity.crash()

    with pytest.raises(DATABASE_ERRORS) as told:
        await first.delete([1])
    await first.leave()

    assert is_database_outage(told.value)
    assert said(await capacity.outbox()) == ["1"]


async def test_the_oldest_come_first_and_no_more_than_were_asked_for(capacity: Postgres) -> None:
    await say(capacity, "1", "2")
    await say(capacity, "3")
    relay = await capacity.lease()

    assert said(await relay.oldest(2)) == ["1", "2"]
    assert said(await relay.oldest(9)) == ["1", "2", "3"]


async def test_what_is_deleted_is_gone_and_the_rest_stays(capacity: Postgres) -> None:
    await say(capacity, "1", "2", "3")
    relay = await capacity.lease()

    await relay.delete([3, 1, 7])
    await relay.delete([])

    assert said(await relay.oldest()) == ["2"]


async def test_a_deletion_is_committed_at_once(capacity: Postgres) -> None:
    await say(capacity, "1", "2")
    relay = await capacity.lease()
    await relay.delete([1])

    await relay.leave()

    assert said(await capacity.outbox()) == ["2"]


async def test_a_relay_looks_past_what_is_not_committed_and_finds_it_below_later(
    capacity: Postgres,
) -> None:
    late = await capacity.begin()
    await emit(late, "1")
    await say(capacity, "2")
    relay = await capacity.lease()
    found = [said(await relay.oldest())]
    await relay.delete([2])
    found.append(said(await relay.oldest()))

    await late.commit()
    await say(capacity, "3")

    found.append(said(await relay.oldest()))
    assert found == [["2"], [], ["1", "3"]]


async def test_a_relay_waits_for_no_transaction_and_keeps_none_waiting(capacity: Postgres) -> None:
    await say(capacity, "1")
    writer = await capacity.begin()
    await emit(writer, "2")
    relay = await capacity.lease()

    await relay.delete([1])

    adding = await writer.start(writer.unit.emit([Emitted(rejected(validated()), None)], NOW))
    assert not adding.is_waiting
